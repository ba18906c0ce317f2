"""Spool, line, clock, identity and flash in words: what stands below the sensors on the screen of `status`."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from agent.cli.durations import ago, between, spell, until

IN_WORDS: Final = {
    "online": "delivering",
    "backoff": "not reached",
    "hold": "refused",
    "misdirected": "answered by something else",
    "unenrolled": "without a certificate",
}


def facts(found: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    """Label and text of each, in the order in which they are shown."""
    spool = found["spool"]
    yield "spool", _spool(spool, found["clock"]["held"], now)
    yield "", _kept(spool)
    yield "line", _line(found["uplink"], now)
    yield "clock", "set" if found["clock"]["synchronised"] else "not set yet"
    yield "identity", _identity(found["identity"], now)
    if spool.get("flash_bytes_today") is not None:
        yield "flash", _flash(spool)


def _spool(spool: Mapping[str, Any], held: int, now: datetime) -> str:
    if not spool["pending"]:
        return "empty: everything is delivered"
    words = f"{spool['pending']:,} pending"
    if spool["oldest"]:
        words += f", the oldest of {ago(spool['oldest'], now)}"
    if held:
        words += f"; {held:,} wait for the clock"
    if spool.get("salvage_left"):
        words += f"; up to {spool['salvage_left']:,} more are in a damaged file and follow"
    if spool.get("drained_seconds"):
        words += f"; delivered in about {spell(spool['drained_seconds'])}"
    return words


def _kept(spool: Mapping[str, Any]) -> str:
    words = f"{spool['set_aside']:,} set aside, {spool['dropped']:,} dropped"
    room = spool.get("room_seconds")
    return words + (f", room for {spell(room)}" if room is not None else "")


def _line(uplink: Mapping[str, Any], now: datetime) -> str:
    state = uplink["state"]
    if state == "idle":
        return "nothing was sent yet"
    words = f"{IN_WORDS.get(state, state)} for {spell(between(uplink['since'], now))}"
    if state != "online" and uplink["failures"] > 1:
        words += f"; {uplink['failures']} tries failed"
    if uplink["next_try"]:
        words += f"; next try {until(uplink['next_try'], now)}"
    if uplink["last_ack"]:
        return f"{words}; last delivery {ago(uplink['last_ack'], now)}"
    return words + "; nothing delivered since start"


def _identity(identity: Mapping[str, Any], now: datetime) -> str:
    if not identity["name"]:
        return "none: not enrolled" if identity["state"] == "missing" else f"{identity['state']}"
    days = identity["days_left"]
    words = f"{days} days left" if days >= 0 else f"expired {ago(identity['not_after'], now)}"
    if identity.get("can_renew", True):
        words += f", renews from {identity['renews_after'][:10]} on"
    else:
        words += "; cannot renew by itself: enroll again, with --force"
        words += f", before {identity['not_after'][:10]}" if days >= 0 else ""
    state = "" if identity["state"] in {"active", "expired"} else f"{identity['state']}: "
    return f"{state}{identity['name']} ({words})"


def _flash(spool: Mapping[str, Any]) -> str:
    since = spool.get("flash_today_since") or ""
    from_then = "" if since.endswith("T00:00:00Z") else f" since {since[11:16]} UTC"
    words = f"{_bytes(spool['flash_bytes_today'])} written today{from_then if since else ''}"
    year = spool.get("flash_bytes_per_year")
    words += f", {_bytes(year)} a year at this rate" if year is not None else ""
    years, card = spool.get("flash_card_years"), spool.get("flash_card_bytes")
    return words + (f": a card that takes {card / 1e12:g} TB lasts {years:,.0f} years of it" if years and card else "")


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return ""
