"""An exception of the network and everything it wraps: requests and urllib3 hide the cause in args and `reason`."""

import re
from collections.abc import Iterator
from typing import Final

from agent.printable import printable

_SOURCE: Final = re.compile(r"(^| \(?)_ssl\.c:[0-9]+(: |\))")  # where in Python's C code an error was made


def causes(error: BaseException) -> Iterator[BaseException]:
    """The exception, then what it carries and what led to it, outermost first, each once."""
    queue: list[object] = [error]
    seen: set[int] = set()
    for item in queue:
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            queue += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]


def plain(error: BaseException) -> str:
    """The system's own words for the innermost cause that has any, else the name of the error."""
    for cause in causes(error):
        # RequestException is an OSError too, but without an errno of its own
        if isinstance(cause, OSError) and cause.strerror:
            return printable(f"{type(cause).__name__}: {_SOURCE.sub('', cause.strerror)}", 200)
    return printable(f"{type(error).__name__}: {error}", 200)
