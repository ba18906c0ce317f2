"""The OpenAPI descriptions in packaging/shield, read line by line: a path stands two spaces deep, its methods four."""

import re
from pathlib import Path
from typing import Final

DESCRIPTIONS: Final = Path(__file__).parents[2] / "packaging/shield"
METHODS: Final = frozenset({"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"})


def described(name: str) -> dict[str, set[str]]:
    """The methods of each path of a description."""
    text = (DESCRIPTIONS / name).read_text(encoding="utf-8")
    routes: dict[str, set[str]] = {}
    path = ""
    for line in text.partition("\npaths:\n")[2].partition("\ncomponents:\n")[0].splitlines():
        if found := re.fullmatch(r"  (/\S*):", line):
            path = found[1]
            routes[path] = set()
        elif (found := re.match(r"    ([a-z]+):", line)) and found[1].upper() in METHODS:
            routes[path].add(found[1].upper())
    assert routes
    assert all(routes.values())
    return routes
