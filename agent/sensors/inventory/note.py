"""Something the operator should know."""

from typing import NamedTuple


class Note(NamedTuple):
    """What was seen, and what to do about it.

    `hinders`: it keeps readings away, or will; `about` is the bus, as `i2c-1`, where it is of one alone.
    """

    what: str
    fix: str
    hinders: bool = True
    about: str = ""
