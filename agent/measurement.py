"""One reading of one sensor: read, judged, corrected; what passes by itself is tried again within the tick."""

from collections.abc import Callable
from typing import Final

from agent.config import SensorConfig
from agent.errors import Implausible, SensorError
from agent.quality import Steps, calibrated, median
from agent.reading import milli
from agent.sensors import Sensor
from agent.sensors.gate import gate

TRIES: Final = 3
RETRY_SECONDS: Final = 3.0  # all tries of one reading; three conversions of a DS18B20 take 2.4 s


class SpikeFilter:
    """What one sensor's last values were, from tick to tick. `limit` is its largest step in °C, 0 for no filter."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._steps = Steps()

    def passed(self, celsius: float) -> float:
        """The same value. Raises Implausible if it is a step that no second value has confirmed."""
        if self._limit <= 0:
            return celsius
        before, self._steps = self._steps, self._steps.after(celsius, limit=self._limit)
        if self._steps.suspect is None:
            return celsius
        seen = f"{celsius:g} °C is more than max_step_celsius {self._limit:g} away from the last {before.last:g} °C"
        raise Implausible("spike", f"{seen}, and no second value like it has come yet")


def measure(
    sensor: Sensor,
    config: SensorConfig,
    spikes: SpikeFilter,
    *,
    monotonic: Callable[[], float],
    tries: int = TRIES,
) -> float:
    """Degrees Celsius, gated and calibrated, thousandths exact; transient faults are tried again at once.

    The range is judged before calibration and offset: it is the chip's, not the room's. Raises SensorError, at the
    latest when one more read, as long as the last one, would end later than three seconds after the first began; where
    that leaves no time for all reads of a median, it is one of fewer.
    """
    first = began = monotonic()
    values: list[float] = []

    def time_for_another() -> bool:
        nonlocal began
        now = monotonic()
        took, began = now - began, now
        return now + took <= first + RETRY_SECONDS

    while True:
        try:
            raw = gate(sensor.read(), rated=sensor.rated_celsius, low=config.min_celsius, high=config.max_celsius)
            values.append(raw)
            if len(values) < config.median_of and time_for_another():
                continue
            middle = median(values)
            values.clear()
            true = calibrated(middle, config.calibration, offset=config.offset_celsius)
            return spikes.passed(milli(true) / 1000)
        except SensorError as error:
            tries -= 1
            if not error.transient or tries <= 0 or not time_for_another():
                raise
