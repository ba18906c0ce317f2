"""What may be asked of the spool, and by whom: a question as an object in, the answer as messages out.

The daemon's control channel and the commands that open a resting spool themselves answer with the same code. Readings go
out in pieces and are never collected here, so that a daemon with a million of them needs no more memory.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from agent.errors import AgentError, Refused
from agent.reading import LATEST_SECOND, utc_text
from agent.spool import Spool, aside, past
from agent.spool.aside import Chosen
from agent.spool.known import Known, known, replay, unsent

Message = dict[str, Any]
CHANGES: Final = frozenset({"retry", "drop", "replay"})


class BadQuestion(AgentError):
    """Not one of those that are answered here."""

    exit_code = 2


def answer(
    spool: Spool, question: Mapping[str, Any], *, may_change: bool, wake: Callable[[], None]
) -> Iterator[Message]:
    """The messages of the answer, the last with `done`. `wake` is called when there is something new to send.

    Raises Refused without the right to change, SpoolError, BadQuestion.
    """
    asked = str(question.get("ask"))
    if asked in CHANGES and not may_change:
        raise Refused(
            "only root and the service's own user may change what is in the spool",
            hint="the same command with sudo",
        )
    match asked:
        case "show":
            yield {"show": show(spool)}
        case "gaps":
            yield {"gaps": [[gap.sensor, gap.since, gap.until, gap.count, gap.cause.value] for gap in spool.gaps()]}
        case "readings":
            yield from _pieces(known(spool, *_stretch(question)))
        case "unsent":
            yield from _pieces(unsent(spool))
        case "aside":
            with spool.shelf() as shelf:
                found = aside.listed(shelf, _chosen(question))
            yield {"aside": [[each.seq, each.sensor, _utc(each.seconds), each.milli, each.status, each.reason]
                             for each in found]}  # fmt: skip
        case "retry":
            with spool.shelf() as shelf:
                retried, kept = aside.retry(shelf, _chosen(question))
            wake()
            yield {"retried": retried, "not_sendable": kept}
        case "drop":
            with spool.shelf() as shelf:
                dropped = aside.drop(shelf, _chosen(question))
            yield {"dropped": dropped}
        case "replay":
            since, until = _stretch(question)
            replayed = replay(spool, since, until, most=spool.limits.max_readings)
            wake()
            yield {"replayed": replayed}
        case _:
            raise BadQuestion(
                f"the daemon does not know {asked!r}", hint="is it of the same version? sensor-agent status"
            )
    yield {"done": True}


def show(spool: Spool) -> Message:
    """How much lies where."""
    counts = spool.counts()
    with spool.shelf() as shelf:
        path = shelf.file.path
        kept, oldest = shelf.file.ask(past.extent) if shelf.file.is_open else (0, None)
        tail = shelf.tail
    young = [row.reading.unix_seconds for row in tail.rows] + [each.since for each in tail.full]
    oldest = min([second for second in (oldest, *young) if second is not None], default=None)
    return {
        "path": str(path),
        "pending": counts.pending,
        "held": counts.held,
        "again": counts.again,
        "oldest": _utc(counts.oldest),
        "set_aside": counts.set_aside,
        "dropped": counts.dropped,
        "capacity": spool.limits.max_readings,
        "past": kept + len(tail.rows) + sum(each.count for each in tail.full),
        "past_since": _utc(oldest),
        "bytes": path.stat().st_size if path.exists() else None,
        "state": counts.trouble or "ok",
    }


def _pieces(pieces: Iterator[list[Known]]) -> Iterator[Message]:
    for piece in pieces:
        if piece:
            yield {
                "known": [
                    [each.where.value, each.seq, each.sensor, each.seconds, each.milli, each.status, each.reason]
                    for each in piece
                ]
            }


def _stretch(question: Mapping[str, Any]) -> tuple[int, int]:
    since, until = question.get("since", 0), question.get("until", LATEST_SECOND)
    if not (isinstance(since, int) and isinstance(until, int) and 0 <= since <= until <= LATEST_SECOND):
        raise BadQuestion(f"no stretch of time: from second {since} to {until}", hint="FROM lies before TO")
    return since, until


def _chosen(question: Mapping[str, Any]) -> Chosen:
    seqs, sensor, status = (question.get(name) for name in ("seqs", "sensor", "status"))
    seqs = [] if seqs is None else seqs
    if not isinstance(seqs, list) or not all(isinstance(seq, int) for seq in seqs):
        raise BadQuestion(f"seqs: must be a list of numbers (got {seqs!r:.60})")
    if not (sensor is None or isinstance(sensor, str)):
        raise BadQuestion(f"sensor: must be a name (got {sensor!r:.60})")
    if not (status is None or isinstance(status, int)):
        raise BadQuestion(f"status: must be a number (got {status!r:.60})")
    return Chosen(tuple(seqs), sensor, status)


def _utc(seconds: int | None) -> str | None:
    return None if seconds is None else utc_text(seconds)
