"""Everything outside of the guest: the played board, the disk that may forget, the development shield, and their files."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from vm.board import CELLAR, FREEZER, OUTSIDE, ROOM, SHELF, Board
from vm.disk import Disk
from vm.guest import Guest
from vm.image import Image
from vm.nbd import DiskServer
from vm.receipts import Receipt, receipts

from agent.devshield.shield import Setup, Shield

DATA_MIB: Final = 64
WRITES_SECONDS: Final = 15.0  # a tick writes every two seconds
SENSORS: Final = ("freezer", "cellar", "room", "outside", "shelf")
CONFIGURATION: Final = """
[uplink]
url = "{url}"
ca_file = "/etc/sensor-agent/ca.pem"
min_interval_seconds = 0.0
max_backoff_seconds = 1.0
extra_fields = ["sensor", "seq"]
[enroll]
url = "{api}"
zone_id = "{zone}"
[[sensors]]
name = "freezer"
driver = "ds18b20"
id = "{freezer}"
interval_seconds = 5.0
[[sensors]]
name = "cellar"
driver = "ds18b20"
id = "{cellar}"
interval_seconds = 5.0
[[sensors]]
name = "room"
driver = "lm75"
bus = 0
address = {room}
interval_seconds = 2.0
[[sensors]]
name = "outside"
driver = "mcp9808"
bus = 0
address = {outside}
interval_seconds = 2.0
[[sensors]]
name = "shelf"
driver = "kernel"
device = "0-{shelf:04x}"
interval_seconds = 2.0
"""


@dataclass(slots=True)
class Stage:
    """Use in a `with`."""

    image: Image
    directory: Path
    board: Board = field(init=False)
    shield: Shield = field(init=False)
    disk: Disk = field(init=False)
    _server: DiskServer = field(init=False)
    _undo: ExitStack = field(default_factory=ExitStack, init=False)

    def __enter__(self) -> Self:
        self.board = Board()
        self._undo.callback(self.board.usb.close)
        (self.directory / "shield").mkdir()
        self.shield = self._undo.enter_context(Shield(Setup(self.directory / "shield", rule="strict")))
        self.disk = self._formatted()
        self._server = DiskServer(self.disk, self.directory / "data")
        self._undo.callback(self._server.close)
        subprocess.run(["cp", "--sparse=always", self.image.disk, self.root], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def root(self) -> Path:
        """This run's copy of the root disk."""
        return self.directory / "root"

    @property
    def state(self) -> Path:
        """Where the machine's state is saved."""
        return self.directory / "state"

    def _formatted(self, *, lies: bool = False) -> Disk:
        """A new disk with an empty file system."""
        blank = self.directory / "blank"
        mkfs = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin") or "mkfs.ext4"
        blank.unlink(missing_ok=True)
        subprocess.run([mkfs, "-q", "-F", blank, f"{DATA_MIB}M"], check=True, stdout=subprocess.DEVNULL)
        disk = Disk(DATA_MIB << 20, lies=lies)
        disk.fill(blank.read_bytes())
        blank.unlink()
        return disk

    @contextmanager
    def liar(self) -> Iterator[None]:
        """With a new data disk that keeps no flush; afterwards the honest one is back, as it was left."""
        honest = self.disk
        self._plug(self._formatted(lies=True))
        try:
            yield
        finally:
            self._plug(honest)

    def _plug(self, disk: Disk) -> None:
        self.disk = self._server.disk = disk

    def boot(self, *, saved: bool = False) -> Guest:
        """From power-on, or from the saved state; end it by leaving it."""
        return Guest(
            self.image,
            disk=self.root,
            data=self.directory / "data",
            board=self.board.usb.port,
            directory=self.directory,
            state=self.state if saved else None,
            forgets=saved,
        )

    def cut(self, guest: Guest, chance: random.Random) -> tuple[int, int]:
        """Let the power fail among the next writes (or now, if none come), of machine and disk.

        Gives how many sectors were at stake and how many survived.
        """
        self._server.fails_at = chance.randint(1, 3)
        self._server.failed.wait(WRITES_SECONDS)
        guest.cut()
        with self._server.lock:
            self._server.fails_at = 0
            self._server.failed.clear()
            return self.disk.cut(chance)

    def faults(self, *texts: str) -> None:
        """What the shield does wrong from now on."""
        self.shield.faults.put("shield", texts)

    def receipts(self) -> list[Receipt]:
        """Everything it has stored so far."""
        return receipts(self.shield.requests())

    def configuration(self) -> str:
        """The agent's."""
        where = self.shield.where
        return CONFIGURATION.format(
            url=str(where["shield"]).replace("127.0.0.1", "localhost"),
            api=str(where["api"]).replace("127.0.0.1", "localhost"),
            zone=where["zone_id"],
            freezer=FREEZER,
            cellar=CELLAR,
            room=ROOM,
            outside=OUTSIDE,
            shelf=SHELF,
        )
