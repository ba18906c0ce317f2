"""The sensors, each read once: what the error means for the person who stands before the wires."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from agent.checks.finding import AS_ROOT, Check, fail, ok, warn
from agent.errors import SensorError
from agent.sampler import Taken

_SLOWER: Final = "a slower bus: dtparam=i2c_arm_baudrate=50000 in config.txt, then sudo reboot"
# for what the driver's own error leaves open
FIXES: Final[Mapping[str, str]] = {
    "claimed": "that `kernel` table in place of this one; or unload the driver",
    "crc": f"noise or a bad contact: a shorter or shielded cable, a pull-up of 4.7 kΩ; on I2C {_SLOWER}",
    "io": f"sudo dmesg | tail # a loose contact, or {_SLOWER}",
    "malformed": "sudo dmesg | tail # is another program writing to the sensor?",
    "not_ready": "wait a tick; if it stays: power-cycle the sensor",
    "out_of_range": "power-cycle the sensor; if it stays, it is broken or another chip than `driver` says",
    "below_minimum": "is it that cold there? min_celsius in its [[sensors]] table says otherwise",
    "above_maximum": "is it that hot there? max_celsius in its [[sensors]] table says otherwise",
    "bad_id": "another chip answers at that address: correct `driver`, or `address`",
    "bad_calibration": "power-cycle the chip; if it stays, it is broken",
    "no_plain_i2c": "this adapter speaks SMBus only: put the chip on another bus",
    "unsupported": "this adapter cannot: put the chip on another bus",
}
OPEN_LINE: Final = " ".join(["ff"] * 9)


def sensors(taken: Sequence[Taken], buses: Mapping[str, str], hidden: Collection[str] = ()) -> Iterator[Check]:
    """A line for each try, and one for each bus on which nothing answers; `buses` says which sensor is on which, `hidden` which
    of them only others may open.
    """
    for bus in sorted({*buses.values()} - {*hidden}):
        on_it = [each for each in taken if buses.get(each.name) == bus]
        if len(on_it) > 1 and all(each.error for each in on_it):
            saw = f"all {len(on_it)} sensors on it fail: the bus is stuck, or its wiring is off"
            yield fail(
                f"bus {bus}", saw, "take the sensors off one by one: a dead one or a long stub holds it; power-cycle"
            )
    for each in taken:
        name = f"sensor {each.name}"
        if each.error is None:
            yield ok(name, f"{each.celsius:.3f} °C")
        elif buses.get(each.name) in hidden:
            yield warn(name, "may not be read by this user", AS_ROOT)
        else:
            yield fail(name, f"{each.error.kind}: {each.error}", fix(each.name, each.error))


def fix(name: str, error: SensorError) -> str:
    """The next command: the driver's own when it has one."""
    if error.reason == "crc" and OPEN_LINE in str(error):
        return "nine ff bytes: nobody drives the line; check the data wire and the sensor's supply"
    return error.hint or FIXES.get(error.reason) or f"sensor-agent read '{name}'"
