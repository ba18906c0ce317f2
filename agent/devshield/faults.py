"""Faults on demand: what the shield or the API does to a request instead of answering it well.

A fault is written `kind`, `kind:argument` or either with `*count`: `503*3` spoils three requests, `429:5` all of
them. The first one that has anything left decides, so a list is a script. `kv-limit` is a state, not an event.
"""

import json
import math
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from agent.devshield import request_json
from agent.devshield.reply import HTML, JSON, TEXT, Reply, failure, page
from agent.errors import ConfigError

Side = Literal["shield", "api"]

WITH_ARGUMENT: Final = {"429", "slow", "drip"}  # seconds each
MOST_SECONDS: Final = 86_400.0
BOTH: Final = {"429", "slow", "drop", "lost"}
KINDS: Final[dict[Side, set[str]]] = {
    "shield": BOTH | {"drip", "portal", "400html", "302", "kv-limit"},
    "api": BOTH | {"502html", "badjson", "nocert", "wrongkey", "crlf", "quota"},
}
# these need something that was stored or issued, so they wait for a POST
ONLY_POST: Final = {"lost", "badjson", "nocert", "wrongkey", "crlf", "quota"}
_SERVER_ERROR: Final = re.compile(r"5[0-9]{2}")
_FORM: Final = re.compile(r"([0-9a-z-]+)(?::([0-9]+(?:\.[0-9]+)?))?(?:\*([1-9][0-9]*))?")


@dataclass(frozen=True, slots=True)
class Fault:
    """`argument` is in seconds; `left` is how many requests it still spoils."""

    kind: str
    argument: float | None = None
    left: float = math.inf


def parse(text: str, side: Side) -> Fault:
    """The fault that a text names; raises ConfigError if there is none of that kind at that side."""
    found = _FORM.fullmatch(text)
    if found is not None:
        kind, argument, count = found.groups()
        known = kind in KINDS[side] or _SERVER_ERROR.fullmatch(kind) is not None
        if known and (argument is None or (kind in WITH_ARGUMENT and float(argument) <= MOST_SECONDS)):
            return Fault(kind, float(argument) if argument else None, float(count) if count else math.inf)
    names = ", ".join(sorted(KINDS[side] | {"5xx"}))
    raise ConfigError(
        f"{side}: no such fault (got {text!r})", hint=f"one of {names}; seconds after a colon, a count after a *"
    )


def parse_option(text: str) -> tuple[Side, str]:
    """Side and fault of one `--fault`: `api:lost*1`, or without a side for the shield. Raises ConfigError."""
    side, colon, rest = text.partition(":")
    if colon and side == "api":
        parse(rest, "api")
        return "api", rest
    fault = rest if colon and side == "shield" else text
    parse(fault, "shield")
    return "shield", fault


def read_lists(body: bytes) -> dict[Side, list[str]]:
    """The faults of `{"shield": […], "api": […]}`, of which either may be missing. Raises ConfigError."""
    try:
        lists = request_json.read(body)
    except ValueError:
        lists = None
    if not isinstance(lists, dict) or not all(
        isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in lists.values()
    ):
        raise ConfigError('faults: must be {"shield": […], "api": […]}, or one of the two')
    for side, texts in lists.items():
        if side not in KINDS:
            raise ConfigError(f"faults: no such side (got {side!r})")
        for text in texts:
            parse(text, side)
    return lists


class Faults:
    """The faults in force at both sides. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lists: dict[Side, list[Fault]] = {"shield": [], "api": []}

    def put(self, side: Side, texts: Sequence[str]) -> None:
        """These and no others from now on; raises ConfigError, and changes nothing, if one cannot be read."""
        faults = [parse(text, side) for text in texts]
        with self._lock:
            self._lists[side] = faults

    def take(self, side: Side, *, post: bool) -> Fault | None:
        """The fault that this request meets, counted; None if it meets none."""
        with self._lock:
            faults = self._lists[side]
            for place, fault in enumerate(faults):
                if fault.kind == "kv-limit" or fault.left <= 0 or (fault.kind in ONLY_POST and not post):
                    continue
                faults[place] = replace(fault, left=fault.left - 1)
                return fault
        return None

    def kv_limited(self) -> bool:
        """Whether the Worker's store takes one write a second for each key only."""
        with self._lock:
            return any(fault.kind == "kv-limit" for fault in self._lists["shield"])


def is_kind(fault: Fault | None, kind: str) -> bool:
    """Whether there is a fault and it is of that kind."""
    return fault is not None and fault.kind == kind


def instead(fault: Fault | None) -> Reply | None:
    """The answer that a fault gives in place of the real one; None if it lets the request through."""
    if fault is None:
        return None
    if _SERVER_ERROR.fullmatch(fault.kind):
        return Reply(int(fault.kind), TEXT, f"error code: {fault.kind}".encode())
    match fault.kind:
        case "429":
            after = (("Retry-After", f"{fault.argument:g}"),) if fault.argument is not None else ()
            return Reply(429, TEXT, b"error code: 1015", after)
        case "502html":
            return page(502, "502 Bad Gateway", "The web server reported a bad gateway error.")
        case "portal":
            return page(200, "Welcome to the guest network", "Please accept the terms of use to go on.")
        case "400html":
            text = b"<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n</html>\r\n"
            return Reply(400, "text/html", text, (("Server", "nginx/1.22.1"),))
        case "302":
            return Reply(302, HTML, b"", (("Location", "/elsewhere"),))
        case "quota":
            return failure(400, 1445, "Certificate quota of the zone is used up (synthetic)")
        case _:
            return None


def spoil(fault: Fault | None, reply: Reply, *, other_certificate: Callable[[], str]) -> Reply:
    """A good answer of the API as the fault leaves it; `other_certificate` makes one for somebody else's key."""
    if fault is None or reply.status != 200:
        return reply
    if fault.kind == "badjson":
        return replace(reply, body=reply.body[: len(reply.body) // 2])
    fields = json.loads(reply.body)
    if not (isinstance(fields["result"], dict) and "certificate" in fields["result"]):
        return reply
    match fault.kind:
        case "nocert":
            del fields["result"]["certificate"]
        case "wrongkey":
            fields["result"]["certificate"] = other_certificate()
        case "crlf":
            fields["result"]["certificate"] = fields["result"]["certificate"].replace("\n", "\r\n")
        case _:
            return reply
    return Reply(reply.status, JSON, json.dumps(fields).encode(), reply.headers)
