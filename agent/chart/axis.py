"""Where an axis has its marks, and what they say: round temperatures, round times of day. Times are UTC."""

import math
from datetime import UTC, datetime
from typing import Final

STEPS: Final = (1, 2, 5, 10)
TIMES: Final = (60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
                86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000)  # fmt: skip
DAY: Final = 86_400
LEAST: Final = 0.1  # °C between top and bottom, so that the noise of a sensor at rest does not fill the picture


def span(low: float, high: float) -> tuple[float, float]:
    """The lowest and highest temperature of the picture."""
    missing = max(LEAST - (high - low), 0.0)
    return low - missing / 2, high + missing / 2


def celsius_marks(low: float, high: float, most: int) -> list[float]:
    """Round temperatures from `low` to `high`, `most` of them at the most, at least one if there is a round one."""
    step = 10.0 ** math.floor(math.log10((high - low) / max(most, 1)))
    while True:
        for factor in STEPS:
            first, last = math.ceil(low / (step * factor) - 1e-9), math.floor(high / (step * factor) + 1e-9)
            if last - first + 1 <= most:
                return [round(number * step * factor, 6) for number in range(first, last + 1)]
        step *= 10


def celsius_text(celsius: float) -> str:
    """As short as it is exact to a thousandth."""
    return f"{celsius + 0.0:.3f}".rstrip("0").rstrip(".").replace("-0", "0") if celsius == 0 else _trimmed(celsius)


def _trimmed(celsius: float) -> str:
    return f"{celsius:.3f}".rstrip("0").rstrip(".")


def time_marks(since: int, until: int, most: int) -> list[int]:
    """Round UTC seconds within the stretch, `most` of them at the most."""
    step = next((step for step in TIMES if (until - since) // step + 1 <= most), TIMES[-1])
    return list(range(-(-since // step) * step, until + 1, step))[:most]


def time_text(second: int, *, stretch: int) -> str:
    """The time of day, or the date where a stretch of so many seconds is one of days."""
    moment = datetime.fromtimestamp(second, UTC)
    if stretch > 3 * DAY:
        return moment.strftime("%Y-%m-%d" if stretch > 300 * DAY else "%m-%d")
    return moment.strftime("%H:%M") if second % DAY or stretch < DAY // 2 else moment.strftime("%m-%d")


def moment_text(second: int) -> str:
    """Date and time to the minute."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M")


def stretch_text(since: int, until: int) -> str:
    """From when until when, the date of the end only where it is another one."""
    begin, end = moment_text(since), moment_text(until)
    return f"{begin} to {end.removeprefix(begin[:10]).strip()}"
