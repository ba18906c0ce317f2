"""The control channel: who asks is told by the kernel, nonsense is answered, and a peer that hangs or goes costs nobody."""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from world.readings import readings, spool_in
from world.users import NOBODY, as_nobody

from agent import control, desk
from agent.control import AT_ONCE, NAME, Control, Gone, Message, Told, ask
from agent.errors import Refused, SpoolError


def answer(question: Message, user: int) -> Iterator[Message]:
    """Says who asks; stops early, or fails, when asked to."""
    while question.get("ask") == "for ever":
        yield {"more": "x" * 4096}
    if question.get("ask") == "fail":
        raise SpoolError("spool: no", hint="look")
    yield {"user": user}
    if question.get("ask") != "stop early":
        yield {"done": True}


@pytest.fixture
def directory() -> Iterator[Path]:
    """A run directory that everybody may enter, deeper than a socket's address is long."""
    with TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        deep = Path(scratch, *["a-directory-with-a-long-name"] * 4)
        served = Control(deep, answer)
        served.start()
        for _ in range(500):
            if (deep / NAME).exists() and os.stat(deep / NAME).st_mode & 0o777 == 0o666:  # noqa: PTH116
                break
            threading.Event().wait(0.01)
        yield deep
        served.close()
        served.join(5)
        assert not served.is_alive()
        assert not (deep / NAME).exists()


def talk(directory: Path, said: bytes) -> bytes:
    """What comes back for these bytes."""
    there = os.open(directory, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(f"/proc/self/fd/{there}/{NAME}")
        os.close(there)
        peer.sendall(said)
        peer.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: peer.recv(4096), b""))


def test_the_kernel_says_who_asks(directory: Path) -> None:
    assert list(ask(directory, {})) == [{"user": os.geteuid()}, {"done": True}]


def test_another_user_is_seen_as_such(directory: Path) -> None:
    with as_nobody():
        assert next(ask(directory, {"user": 0})) == {"user": NOBODY}


def test_a_directory_that_is_closed_to_the_asker_is_a_refusal(directory: Path) -> None:
    directory.chmod(0o700)
    with as_nobody(), pytest.raises(Refused, match="may not be asked"):
        ask(directory, {})


def test_an_error_arrives_with_its_hint_and_exit_code(directory: Path) -> None:
    with pytest.raises(Told, match="spool: no") as raised:
        list(ask(directory, {"ask": "fail"}))
    assert (raised.value.hint, raised.value.exit_code) == ("look", 73)


def test_an_answer_that_stops_early_is_not_taken_for_whole(directory: Path) -> None:
    with pytest.raises(Gone):
        list(ask(directory, {"ask": "stop early"}))


@pytest.mark.parametrize("said", [b"", b"\n", b"[]\n", b"{", b"\xff\n", b"x" * 70_000])
def test_nonsense_is_answered_and_the_next_question_too(directory: Path, said: bytes) -> None:
    try:
        assert json.loads(talk(directory, said))["exit_code"] == 2
    except ConnectionError:
        assert len(said) > 60_000  # closed before everything was read
    assert list(ask(directory, {}))


def test_readers_that_pause_keep_nobody_waiting_and_one_user_no_other(directory: Path) -> None:
    paused: list[Any] = [ask(directory, {"ask": "for ever"}) for _ in range(AT_ONCE - 1)]
    for each in paused:
        next(each)
    assert list(ask(directory, {})) == [{"user": os.geteuid()}, {"done": True}]
    paused.append(ask(directory, {"ask": "for ever"}))
    next(paused[-1])
    with pytest.raises(Told, match="too many already") as raised:
        list(ask(directory, {}))
    assert raised.value.exit_code == 75
    with as_nobody():
        assert list(ask(directory, {})) == [{"user": NOBODY}, {"done": True}]
    for each in paused:
        each.close()
    for _ in range(500):
        with contextlib.suppress(Told):
            assert list(ask(directory, {}))
            return
        threading.Event().wait(0.01)
    raise AssertionError("those that have gone are still counted")


def test_an_answer_that_was_not_read_says_so(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE_SECONDS", 0.1)
    answer = ask(directory, {"ask": "for ever"})
    next(answer)
    threading.Event().wait(0.5)
    with pytest.raises(Gone, match="was not read for 0 s"):
        list(answer)


def test_nobody_listens() -> None:
    with TemporaryDirectory() as scratch, pytest.raises(FileNotFoundError):
        list(ask(Path(scratch), {}))


@pytest.mark.parametrize("asked", sorted(desk.CHANGES))
def test_a_stranger_changes_nothing(tmp_path: Path, asked: str) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        with pytest.raises(Refused):
            list(desk.answer(spool, {"ask": asked}, may_change=False, wake=lambda: None))


@pytest.mark.parametrize(
    "question", [{}, {"ask": "format"}, {"ask": "readings", "since": "x"}, {"ask": "replay", "since": 2, "until": 1}]
)
def test_a_question_that_makes_no_sense_is_refused(tmp_path: Path, question: Message) -> None:
    with spool_in(tmp_path) as spool, pytest.raises(desk.BadQuestion) as raised:
        list(desk.answer(spool, question, may_change=True, wake=lambda: None))
    assert raised.value.exit_code == 2
