"""Comma-separated values by RFC 4180: CRLF after each record, quotes where a field needs them."""

from collections.abc import Iterable


def record(fields: Iterable[object]) -> str:
    """One line with its CRLF; None is an empty field."""
    return ",".join(_field("" if field is None else str(field)) for field in fields) + "\r\n"


def _field(text: str) -> str:
    if any(letter in text for letter in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
