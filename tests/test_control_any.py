"""Whatever anybody says to the control socket: it is answered, nothing changes for it, and the next one is answered too."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from world.readings import readings, spool_in

from agent import desk
from agent.control import NAME, Control, Message, ask
from agent.spool import Spool

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
ASKED = ("show", "gaps", "readings", "unsent", "aside", "retry", "drop", "replay")

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(2**70) | st.floats() | st.text(max_size=9) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
QUESTIONS = st.fixed_dictionaries(
    {"ask": st.sampled_from(ASKED) | VALUES},
    optional=dict.fromkeys(("seqs", "sensor", "status", "since", "until"), VALUES),
)
SAID = st.binary(max_size=60) | (QUESTIONS | VALUES).map(lambda value: json.dumps(value).encode())


@pytest.fixture(scope="module")
def spool() -> Iterator[Spool]:
    """One with readings that wait and some that were set aside."""
    with TemporaryDirectory() as scratch, spool_in(Path(scratch)) as made:
        made.append(readings(*range(6)))
        for each in made.head(2):
            made.set_aside(each.seq, status=400, reason="no")
        yield made


@pytest.fixture(scope="module")
def directory(spool: Spool) -> Iterator[Path]:
    """Where the socket is; to it everybody is a stranger."""

    def answer(question: Message, user: int) -> Iterator[Message]:
        del user
        return desk.answer(spool, question, may_change=False, wake=lambda: None)

    with TemporaryDirectory() as scratch:
        control = Control(Path(scratch), answer, question_seconds=0.3)
        control.start()
        listening = Path(scratch, NAME)
        while not (listening.exists() and listening.stat().st_mode & 0o777 == 0o666):
            control.join(0.01)
        yield Path(scratch)
        control.close()
        control.join(5)


def connected(directory: Path) -> socket.socket:
    """A connection to the socket."""
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(5)
    peer.connect(str(directory / NAME))
    return peer


def said_back(directory: Path, said: bytes) -> bytes:
    """What comes back for these bytes, whole."""
    with connected(directory) as peer:
        peer.sendall(said)
        peer.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: peer.recv(65536), b""))


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(said=SAID)
@example(said=b"[" * 60_000)
@example(said=b'{"ask":"aside","seqs":5}\n')
@example(said=b'{"ask":"aside","seqs":[[]]}\n')
@example(said=b'{"ask":"aside","sensor":[]}\n')
@example(said=b'{"ask":"aside","status":{}}\n')
@example(said=b'{"ask":"readings","since":"\\ud800"}\n')
@example(said=b'{"ask":"unsent"}\n{"ask":"unsent"}\n')
def test_whatever_is_said_is_answered_and_changes_nothing(directory: Path, said: bytes) -> None:
    lines = [json.loads(line) for line in said_back(directory, said).splitlines()]

    assert lines
    assert "error" in lines[-1] or lines[-1] == {"done": True}
    assert lines[-1].get("exit_code", 0) in {0, 2, 77}
    (shown,) = [line["show"] for line in ask(directory, {"ask": "show"}) if "show" in line]
    assert (shown["pending"], shown["set_aside"], shown["again"], shown["dropped"]) == (4, 2, 0, 0)


def test_who_says_a_letter_now_and_then_keeps_nobody_waiting(directory: Path) -> None:
    with connected(directory) as slow:
        slow.sendall(b'{"ask":')
        assert list(ask(directory, {"ask": "show"}))[-1] == {"done": True}
        assert slow.recv(1) == b""


def test_who_goes_in_the_middle_keeps_nobody_waiting(directory: Path) -> None:
    for said in (b"", b"{", b'{"ask":"unsent"}\n'):
        with connected(directory) as peer:
            peer.sendall(said)
    assert list(ask(directory, {"ask": "show"}))[-1] == {"done": True}
