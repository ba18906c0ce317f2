"""The `[[sensors]]` tables: which keys a driver takes, and that no two name the same thing."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from agent.config.tables import between, key, matches, read_table, told
from agent.quality import slope
from agent.record import REQUIRED, dataclass
from agent.sensors.chips import CHIPS
from agent.sensors.ds18b20 import FAMILIES
from agent.sensors.ds18b20 import RATED_CELSIUS as ONE_WIRE_RATED

DRIVERS: Final = (*FAMILIES, *CHIPS, "kernel", "simulated")
_DEVICE: Final = r"[^\x00-\x1f/]{1,64}(/[^\x00-\x1f/]{1,64})?"
_BY_DRIVER: Final = {
    **dict.fromkeys(FAMILIES, ("id",)),
    **dict.fromkeys(CHIPS, ("bus", "address", "median_of")),
    "kernel": ("device",),
    "simulated": ("celsius", "swing_celsius", "period_seconds"),
}
_OF_ONE_DRIVER: Final = {name for names in _BY_DRIVER.values() for name in names}


def _two_points(points: Sequence[Sequence[float]]) -> str | None:
    says = "must be two points as [[shown, true], [shown, true]], a degree or more apart, with a slope of 0.5 to 2"
    if [len(point) for point in points] != [2, 2] or not all(-300 <= each <= 2000 for each in (*points[0], *points[1])):
        return says
    return None if abs(points[0][0] - points[1][0]) >= 1 and 0.5 <= slope(points) <= 2 else says


@dataclass(frozen=True, slots=True)
class SensorConfig:
    """One sensor. `id` is a 1-Wire ROM id; `bus`, `address` and `median_of` are of I2C (address -1: the chip's usual
    one); `device` is of the kernel driver; `celsius`, `swing_celsius` and `period_seconds` are of the simulated one.
    Nothing is calibrated without `calibration`; 0 switches `max_step_celsius` and `deadband_celsius` off.
    """

    name: str = key(REQUIRED, matches(r"[A-Za-z0-9][A-Za-z0-9 _.:/-]{0,63}", "1 to 64 letters, digits and ` _.:/-`"))
    driver: str = key(REQUIRED)
    id: str = key("", matches(r"[0-9a-f]{2}-[0-9a-f]{12}", 'a ROM id as "28-00000586475d"'))
    bus: int = key(1, between(0, 255))
    address: int = key(-1, between(0x08, 0x77))
    device: str = key("", matches(_DEVICE, 'a name as "cpu-thermal" or "1-0048", or name/label'))
    interval_seconds: float = key(60.0, between(1, 86400))
    phase_seconds: float = key(0.0, between(0, 86400))
    calibration: tuple[tuple[float, ...], ...] = key((), _two_points)
    offset_celsius: float = key(0.0, between(-100, 100))
    min_celsius: float | None = key(None, between(-300, 2000))
    max_celsius: float | None = key(None, between(-300, 2000))
    median_of: int = key(1, lambda value: None if value in {1, 3, 5} else "must be 1, 3 or 5")
    max_step_celsius: float = key(0.0, between(0, 1000))
    deadband_celsius: float = key(0.0, between(0, 100))
    max_silence_seconds: float = key(3600.0, between(1, 604_800))
    celsius: float = key(20.0, between(-55, 125))
    swing_celsius: float = key(2.0, between(0, 90))
    period_seconds: float = key(3600.0, between(1, 31_536_000))


def read_sensors(tables: Any, problems: list[str]) -> tuple[SensorConfig, ...]:
    """The sensors in the order they are written; what is wrong with them is added to `problems`."""
    if not isinstance(tables, list):
        problems.append(f"sensors: must be [[sensors]] tables (got {told(tables)})")
        return ()
    sensors = []
    seen: dict[tuple[str, str], str] = {}
    for place, table in enumerate(tables):
        path = f"sensors[{place}]"
        sensor = read_table(SensorConfig, table, path, problems)
        for what, value in _claims(table, sensor):
            earlier = seen.setdefault((what, value), path)
            if earlier != path:
                problems.append(f"{path}.{what}: is that of {earlier} already (got {value!r})")
        driver = table.get("driver") if isinstance(table, dict) else None
        if isinstance(driver, str) and driver not in DRIVERS:
            problems.append(_unknown_driver(driver, path))
        elif isinstance(driver, str):
            problems += _misplaced_keys(driver, table, path)
            if sensor is not None:
                problems += _place_problems(sensor, path) + _range_problems(sensor, path)
                sensors.append(sensor)
    return tuple(sensors)


def address_of(sensor: SensorConfig) -> int:
    """The 7-bit address: the configured one, else the chip's usual one."""
    return sensor.address if sensor.address >= 0 else CHIPS[sensor.driver].address


def _unknown_driver(driver: str, path: str) -> str:
    import difflib

    near = difflib.get_close_matches(driver, DRIVERS, n=1)
    return f"{path}.driver: unknown" + (f", did you mean {near[0]!r}?" if near else "") + f" (got {told(driver)})"


def _misplaced_keys(driver: str, table: dict[str, Any], path: str) -> list[str]:
    allowed = _BY_DRIVER[driver]
    problems = [
        f"{path}.{name}: driver {driver!r} takes no such key (got {told(table[name])})"
        for name in table
        if name in _OF_ONE_DRIVER and name not in allowed
    ]
    return problems + [
        f"{path}.{name}: is required by driver {driver!r}"
        for name in ("id", "device")
        if name in allowed and name not in table
    ]


def _place_problems(sensor: SensorConfig, path: str) -> list[str]:
    problems = []
    if sensor.id and sensor.driver in FAMILIES and int(sensor.id[:2], 16) != FAMILIES[sensor.driver]:
        family = f"{FAMILIES[sensor.driver]:02x}-…"
        problems.append(f"{path}.id: the family of driver {sensor.driver!r} is {family} (got {sensor.id!r})")
    if sensor.driver in CHIPS and address_of(sensor) not in CHIPS[sensor.driver].addresses:
        problems.append(
            f"{path}.address: a {sensor.driver} is at {_named(CHIPS[sensor.driver].addresses)} (got {sensor.address:#04x})"
        )
    return problems


def _named(addresses: Collection[int]) -> str:
    if len(addresses) > 8:
        return f"{min(addresses):#04x} … {max(addresses):#04x}"
    return ", ".join(f"{address:#04x}" for address in sorted(addresses))


def rated_celsius(driver: str) -> tuple[float, float] | None:
    """The range that a driver's chips are rated for; None where the device decides (kernel)."""
    if driver in FAMILIES:
        return ONE_WIRE_RATED
    if driver in CHIPS:
        return CHIPS[driver].rated_celsius
    return (-55.0, 125.0) if driver == "simulated" else None


def _range_problems(sensor: SensorConfig, path: str) -> list[str]:
    problems = []
    low, high = sensor.min_celsius, sensor.max_celsius
    rated = rated_celsius(sensor.driver)
    for name, value in (("min_celsius", low), ("max_celsius", high)):
        if rated and value is not None and not rated[0] <= value <= rated[1]:
            problems.append(
                f"{path}.{name}: may only narrow the rated {rated[0]:g}…{rated[1]:g} °C of {sensor.driver} (got {value:g})"
            )
    if low is not None and high is not None and low >= high:
        problems.append(f"{path}.min_celsius: must be below max_celsius {high:g} (got {low:g})")
    if sensor.phase_seconds >= sensor.interval_seconds:
        seen = f"(got {sensor.phase_seconds:g})"
        problems.append(f"{path}.phase_seconds: must be below interval_seconds {sensor.interval_seconds:g} {seen}")
    return problems


def _claims(table: Any, sensor: SensorConfig | None) -> list[tuple[str, str]]:
    """What no second sensor may have: the name, and the place where it is read; as far as it can be told of a bad table."""
    said = ((what, table.get(what)) for what in ("name", "id", "device")) if isinstance(table, dict) else ()
    claims = [(what, value) for what, value in said if isinstance(value, str)]
    if sensor is not None and sensor.driver in CHIPS:
        claims.append(("address", f"{address_of(sensor):#04x} on i2c-{sensor.bus}"))
    return claims
