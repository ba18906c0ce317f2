"""Which paths an API has, and which methods each of them takes, as the table that its OpenAPI description is held to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from agent.devshield.reply import Reply, failure

Table = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path of a table, as it stands there, and what a request has in the places of its names."""

    path: str
    methods: tuple[str, ...]
    names: Mapping[str, str]

    def refusal(self, method: str) -> Reply | None:
        """405 with Allow (RFC 9110 §15.5.6) for a method that the path does not take."""
        if method in self.methods:
            return None
        message = f"Method {method} not available for that URI."
        return replace(failure(405, 7001, message), headers=(("Allow", ", ".join(self.methods)),))


class Routes:
    """A table of methods by path, `{name}` stands for one segment of any text; the first path that fits is taken."""

    def __init__(self, table: Table) -> None:
        self.table: Final = table
        self._forms = {path: re.compile(re.sub(r"\{(\w+)}", r"(?P<\1>[^/]+)", path) + "/?") for path in table}

    def find(self, path: str) -> Route | None:
        """The route of a request's path; None if there is none."""
        for each, form in self._forms.items():
            if found := form.fullmatch(path):
                return Route(each, self.table[each], found.groupdict())
        return None
