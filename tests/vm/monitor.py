"""QEMU's own line (QMP): one command, one answer; events in between are passed over."""

import json
import socket
from pathlib import Path
from typing import Any, Self


class Monitor:
    """A session on the monitor's socket file, until it is left."""

    def __init__(self, file: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(file))
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._lines.readline()  # the greeting
        self.command("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def command(self, name: str, **arguments: str) -> Any:
        """What comes back. Raises RuntimeError with QEMU's words if it refuses."""
        self._socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        for line in self._lines:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise RuntimeError(f"QEMU, {name}: {answer['error']['desc']}")
        return {}  # it has quit
