"""One chip on one bus, and the few ways in which chips are talked to.

Everything that travels goes through the Bus protocol, so a chip is read the same from silicon and from a dict.
"""

from collections.abc import Callable, Collection

from agent.errors import Misconfigured, Unreadable
from agent.record import dataclass
from agent.sensors import Bus, Wait


@dataclass(frozen=True, slots=True)
class Wire:
    """The line to the chip at `address`; `wait` passes conversion times."""

    bus: Bus
    address: int
    wait: Wait

    def register(self, pointer: int, length: int) -> bytes:
        """`length` bytes from `pointer` on, in one transfer with a repeated start."""
        return self.bus.write_read(self.address, bytes((pointer,)), length)

    def write(self, *data: int) -> None:
        """Write the bytes, the first of which is a pointer or a command."""
        self.bus.write(self.address, bytes(data))

    def command(self, *data: int, seconds: float, length: int) -> bytes:
        """Write a command, wait, and read the answer in a second transfer.

        Command chips do not acknowledge a repeated start while they convert, so this is never one transfer.
        """
        self.write(*data)
        self.pause(seconds)
        return self.bus.read(self.address, length)

    def pause(self, seconds: float) -> None:
        """Wait for a conversion. Raises Unreadable if the wait was ended: half a conversion is no reading."""
        if self.wait(seconds):
            raise Unreadable("stopped", "the agent is stopping")

    def until(self, ready: Callable[[], bool], *, seconds: float, looks: int) -> None:
        """Return once `ready` says so, after at most that many looks and a pause between any two.

        Raises Unreadable if it never did: a busy flag that is stuck must not hold the bus.
        """
        for look in range(looks):
            if look:
                self.pause(seconds)
            if ready():
                return
        raise Unreadable("not_ready", f"the chip at {self.address:#04x} was still busy after {looks} looks")

    def expect(self, *pointer: int, length: int, genuine: Callable[[bytes], bool], what: str) -> None:
        """Verify an identity register. Raises Misconfigured with what was seen if it is another chip's."""
        seen = self.bus.write_read(self.address, bytes(pointer), length)
        if not genuine(seen):
            raise Misconfigured(
                "bad_id",
                f"the chip at {self.address:#04x} is no {what} (register {bytes(pointer).hex()} reads {seen.hex()})",
                hint="check `driver` and `address` of this sensor",
            )


def no_preparation(_wire: Wire) -> bytes:
    """For chips without identity and calibration."""
    return b""


@dataclass(frozen=True, slots=True)
class Chip:
    """How one kind of chip is found and read.

    `address` is the usual one, `addresses` all that its pins allow. `prepare` verifies the identity and returns the
    calibration words; it runs before the first reading and again after any error, because a brown-out garbles both.
    `read` returns degrees Celsius. Both raise SensorError.
    """

    address: int
    addresses: Collection[int]
    rated_celsius: tuple[float, float]
    read: Callable[[Wire, bytes], float]
    prepare: Callable[[Wire], bytes] = no_preparation
