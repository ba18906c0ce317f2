"""Path and query of a request's target, in any of the forms that it may have (RFC 9112 §3.2); raises for none."""

import re
from typing import Final

_AUTHORITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def path_and_query(target: str) -> tuple[str, str]:
    """Both as they came, without the question mark. `urlsplit` would raise for `http://[`."""
    found = _AUTHORITY.match(target)
    local = target[found.end() :] if found else target
    path, _, query = local.partition("#")[0].partition("?")
    return path, query
