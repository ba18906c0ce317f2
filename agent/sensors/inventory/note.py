"""Something the operator should know."""

from typing import NamedTuple


class Note(NamedTuple):
    """What was seen, and what to do about it."""

    what: str
    fix: str
