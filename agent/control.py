"""The control channel: a Unix socket in the run directory, by which commands ask the daemon for what only it can open.

One question at a time: one line of JSON in, lines of JSON out, the last of which says `done` or `error`. Whoever asks is
told by the kernel (SO_PEERCRED, unix(7)), not by what it says. One thread waits for them, asleep until somebody calls, and
each has another for its answer: one that does not read keeps nobody waiting.
"""

import json
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from agent.errors import AgentError, Refused

log = logging.getLogger(__name__)

NAME: Final = "control"
QUESTION_BYTES: Final = 64 << 10
PATIENCE_SECONDS: Final = 60.0  # with a peer that does not listen
AT_ONCE, IN_ALL = 4, 16  # answers to one user, so that nobody keeps the others out; the unit has 64 tasks
QUESTION_SECONDS: Final = 5.0  # for the whole question: a letter now and then is no question
BACKLOG: Final = 8

Message = dict[str, Any]
Answer = Callable[[Message, int], Iterable[Message]]  # a question and the user number of who asks


class Gone(AgentError):
    """The daemon ended in the middle of its answer."""

    exit_code = 75


class Told(AgentError):
    """What the daemon said instead of an answer."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        super().__init__(str(message["error"]), hint=str(message.get("hint", "")))
        self.exit_code = int(message.get("exit_code", 1))  # type: ignore[misc]  # of the error that was raised there


class Control(threading.Thread):
    """Serves the socket until closed. One that cannot be made costs the commands, not the daemon."""

    def __init__(self, directory: Path, answer: Answer, *, question_seconds: float = QUESTION_SECONDS) -> None:
        super().__init__(name="control", daemon=True)
        self._directory, self._answer, self._question_seconds = directory, answer, question_seconds
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._served = list[int]()  # the users of the answers under way

    def run(self) -> None:
        """Accept until the socket is shut down."""
        try:
            self._listen()
        except OSError as error:
            extra = {"FILE": str(self._directory / NAME), "ERROR": str(error)}
            log.warning(
                "control socket cannot be made: history and spool commands wait for a stopped daemon", extra=extra
            )
            return
        with suppress(OSError), self._socket:  # shut down
            while True:
                peer, _ = self._socket.accept()
                credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                _, user, _ = struct.unpack("3i", credentials)
                if self._served.count(user) >= AT_ONCE or len(self._served) >= IN_ALL:
                    with closing(peer), suppress(OSError):
                        peer.sendall(
                            _line(
                                {
                                    "error": "the daemon answers too many already",
                                    "hint": "again in a minute",
                                    "exit_code": 75,
                                }
                            )
                        )
                    continue
                self._served.append(user)
                threading.Thread(target=self._attend, args=(peer, user), name="answer", daemon=True).start()

    def close(self) -> None:
        """End it; an answer under way is cut short."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            (self._directory / NAME).unlink()

    def _listen(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        (self._directory / NAME).unlink(
            missing_ok=True
        )  # of a daemon that was killed; the spool's lock keeps out a second
        with short(self._directory) as directory:
            self._socket.bind(f"{directory}/{NAME}")
        (self._directory / NAME).chmod(0o666)  # whatever the umask; who may do what is decided by who asks
        self._socket.listen(BACKLOG)

    def _attend(self, peer: socket.socket, user: int) -> None:
        with closing(peer):
            try:
                with suppress(OSError):  # the peer has gone
                    self._serve(peer, user)
            finally:
                self._served.remove(user)  # before it can ask again

    def _serve(self, peer: socket.socket, user: int) -> None:
        said = _question(peer, self._question_seconds)
        peer.settimeout(PATIENCE_SECONDS)
        with peer.makefile("wb") as stream:
            try:
                question = json.loads(said)
                if not isinstance(question, dict):
                    raise ValueError("no object")  # noqa: TRY004, TRY301 - answered like other nonsense
            except (ValueError, RecursionError) as error:
                stream.write(_line({"error": f"the question is no JSON object: {error}", "exit_code": 2}))
                return
            try:
                for message in self._answer(question, user):
                    stream.write(_line(message))
            except AgentError as error:
                stream.write(_line({"error": str(error), "hint": error.hint, "exit_code": error.exit_code}))


def _question(peer: socket.socket, seconds: float) -> bytes:
    """Its first line, or what there was of one. Raises TimeoutError if that takes longer."""
    until = time.monotonic() + seconds
    said = b""
    while b"\n" not in said and len(said) < QUESTION_BYTES:
        peer.settimeout(max(until - time.monotonic(), 0.001))
        more = peer.recv(QUESTION_BYTES - len(said))
        if not more:
            break
        said += more
    return said.partition(b"\n")[0]


def ask(directory: Path, question: Message) -> Iterator[Message]:
    """The daemon's answer, a line at a time; raises Told, or Gone if it stops before its end.

    Raises FileNotFoundError or ConnectionRefusedError at once if no daemon listens, Refused if it may not be asked.
    """
    try:
        peer = _connected(directory)
    except PermissionError as error:
        hint = "the same command with sudo"
        raise Refused(f"the daemon may not be asked: {directory / NAME}: {error}", hint=hint) from error
    return _answer(peer, question)


def listens(directory: Path) -> bool:
    """Whether a daemon does."""
    try:
        _connected(directory).close()
    except OSError:
        return False
    return True


def _connected(directory: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    peer.settimeout(PATIENCE_SECONDS)
    try:
        with short(directory) as near:
            peer.connect(f"{near}/{NAME}")
    except BaseException:
        peer.close()
        raise
    return peer


def _answer(peer: socket.socket, question: Message) -> Iterator[Message]:
    last: Message = {}
    slowest = 0.0
    with closing(peer), peer.makefile("rb") as stream:
        try:
            with suppress(BrokenPipeError):  # refused before it was heard: what was said of that is still to be read
                peer.sendall(_line(question))
            for raw in stream:
                last = json.loads(raw)
                if "error" in last:
                    raise Told(last)
                given = time.monotonic()
                yield last
                slowest = max(slowest, time.monotonic() - given)
        except (OSError, ValueError) as error:
            raise Gone(f"the daemon's answer broke off: {error}", hint="sensor-agent status") from error
    if not last.get("done"):
        what = "the daemon ended in the middle of its answer"
        if slowest > PATIENCE_SECONDS:
            what = f"the answer was not read for {PATIENCE_SECONDS:.0f} s, and the daemon has ended it"
        raise Gone(what, hint="sensor-agent status")


@contextmanager
def short(directory: Path) -> Iterator[str]:
    """A path to the directory that fits into a socket's address, whose limit is 108 bytes (unix(7))."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _line(said: Mapping[str, Any]) -> bytes:
    text = json.dumps(said, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace") + b"\n"  # half a character becomes its JSON escape
