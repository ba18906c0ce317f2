"""When an ending certificate is worth a word. Pure; when it is due for renewal, the certificate itself says."""

from typing import Final

WARNING_DAYS: Final = (30, 14, 7, 3, 1)


def warning(days_left: int, told: int | None) -> int | None:
    """The step of WARNING_DAYS to warn of now; None if it is too early, or `told`, the last one warned of, is it."""
    reached = [step for step in WARNING_DAYS if days_left <= step]
    if not reached or (told is not None and told <= min(reached)):
        return None
    return min(reached)
