"""The machine: QEMU with emulated CPUs, two lines into it, and a plug that can be pulled.

It dies with this process (PR_SET_PDEATHSIG), and is started anew for each boot on the same two disks.
"""

import json
import queue
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Final, Self

from vm.image import Image
from vm.monitor import Monitor
from vm.reports import Report

MEBIBYTES: Final = 384
BOOT_SECONDS: Final = 240.0
KERNEL_LINE: Final = (
    "root=/dev/vda rw console=ttyS0 quiet mitigations=off nokaslr net.ifnames=0 systemd.show_status=0 board={board}"
)


class DidNotBoot(RuntimeError):
    """The machine has not come up, or is gone; the end of its console is in the message."""


class Guest:
    """One boot. `reports` is every status of the agent, in order; for one thread."""

    def __init__(
        self,
        image: Image,
        *,
        disk: Path,
        data: Path,
        board: int,
        directory: Path,
        state: Path | None = None,
        forgets: bool = False,
    ) -> None:
        """Boot, or go on from a saved `state`; if it `forgets`, what is written to the root disk is gone at the end."""
        self._directory, self.reports = directory, list[Report]()
        self.began = time.time()
        self._console = directory / "console"
        self._console.touch()
        lines = [self._line("commands"), self._line("reports")]
        self._process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"),
                *("-machine", "q35,accel=tcg", "-cpu", "qemu64", "-smp", "2", "-m", str(MEBIBYTES)),
                *("-nodefaults", "-nographic", "-no-reboot", "-rtc", "base=utc"),
                *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
                *("-append", KERNEL_LINE.format(board=board)),
                # a copy for this run: what QEMU has written outlives QEMU, so nothing must be synced
                *("-drive", f"file={disk},format=raw,if=virtio,cache=unsafe,snapshot={'on' if forgets else 'off'}"),
                *("-drive", f"file=nbd+unix:///?socket={data},format=raw,if=virtio,cache=writeback"),
                *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"),
                *("-object", "rng-random,filename=/dev/urandom,id=rng", "-device", "virtio-rng-pci,rng=rng"),
                *("-device", "virtio-serial-pci"),
                *[part for name in ("commands", "reports") for part in self._port(name)],
                *("-chardev", f"file,id=console,path={self._console},append=on", "-serial", "chardev:console"),
                *("-qmp", f"unix:{directory / 'monitor'},server=on,wait=off"),
                *(("-incoming", f"exec:cat {state}") if state else ()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(directory / "qemu").open("ab"),
        )
        self._commands, reports = (self._accept(line) for line in lines)
        self._answers = self._commands.makefile("r", encoding="utf-8")
        self._fresh: queue.SimpleQueue[Report] = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(reports,), daemon=True).start()
        if state is None:
            self._answer()  # it says that it is there
        else:
            self.run("true")
        self.booted_seconds = time.time() - self.began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def _line(self, name: str) -> socket.socket:
        file = self._directory / name
        file.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(file))
        listener.listen()
        listener.settimeout(BOOT_SECONDS)
        return listener

    def _port(self, name: str) -> tuple[str, ...]:
        chardev = f"socket,id={name},path={self._directory / name}"
        return ("-chardev", chardev, "-device", f"virtserialport,chardev={name},name={name}")

    def _accept(self, listener: socket.socket) -> socket.socket:
        with listener:
            connection, _ = listener.accept()
        connection.settimeout(BOOT_SECONDS)
        return connection

    def _listen(self, connection: socket.socket) -> None:
        """Until the power goes; half a line at the end was never said."""
        connection.settimeout(None)
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    self._fresh.put(Report.of(json.loads(line)))

    def _answer(self) -> tuple[int, str]:
        try:
            line = self._answers.readline()
        except TimeoutError:
            line = ""
        if not line:
            end = (self._directory / "qemu").read_text() + self._console.read_text(errors="replace")[-2000:]
            raise DidNotBoot(f"the guest does not answer; its console ends with:\n{end}")
        code, said = json.loads(line)
        return code, said

    def run(self, *command: str) -> tuple[int, str]:
        """Exit code and output (both streams) of a command in the guest. Raises DidNotBoot if it is gone."""
        self._commands.sendall(json.dumps(command).encode() + b"\n")
        return self._answer()

    def sh(self, script: str) -> str:
        """Output of a shell script that must succeed; raises RuntimeError with its output otherwise."""
        code, said = self.run("sh", "-ec", script)
        if code:
            raise RuntimeError(f"in the guest, exit code {code}:\n{script}\n{said}")
        return said

    def write(self, path: str, content: str, mode: str = "644") -> None:
        """A file in the guest, replaced in one step."""
        code, said = self.run(
            "sh", "-ec", 'printf %s "$1" >"$2.new"; chmod "$3" "$2.new"; mv "$2.new" "$2"', "-", content, path, mode
        )
        if code:
            raise RuntimeError(f"{path}: {said}")

    def heard(self, seconds: float = 0.0) -> Report | None:
        """Take in what was reported, waiting that long for one more; the latest of all."""
        try:
            self.reports.append(self._fresh.get(timeout=seconds) if seconds else self._fresh.get_nowait())
            while True:
                self.reports.append(self._fresh.get_nowait())
        except queue.Empty:
            return self.reports[-1] if self.reports else None

    def status(self) -> dict[str, Any]:
        """What `sensor-agent status --json` says in there."""
        _, said = self.run("sensor-agent", "status", "--json")
        found: dict[str, Any] = json.loads(said)
        return found

    def save(self, state: Path) -> None:
        """Write the machine's state to a file, and end it; the root disk is as that state knows it."""
        with Monitor(self._directory / "monitor") as monitor:
            monitor.command("migrate", uri=f"exec:cat >{state}")
            while (found := monitor.command("query-migrate"))["status"] != "completed":
                if found["status"] == "failed":
                    raise DidNotBoot(f"the state cannot be saved: {found}")
                threading.Event().wait(0.2)
            monitor.command("quit")
        self._process.wait()

    def cut(self) -> None:
        """The plug; then what had been reported is taken in."""
        self._process.kill()
        self._process.wait()
        self.heard(0.2)
        self._commands.close()
