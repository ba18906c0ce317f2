"""One line of a check. Whatever is not well names the next command."""

from typing import Final

from agent.record import dataclass

AS_ROOT: Final = "sudo sensor-agent check"  # sees what this user may not


@dataclass(frozen=True, slots=True)
class Check:
    """`result` is `ok`, `warn` or `fail`; `saw` what was seen; `fix` the next command, None when all is well."""

    name: str
    result: str
    saw: str
    fix: str | None = None


def ok(name: str, saw: str) -> Check:
    """All is well."""
    return Check(name, "ok", saw)


def warn(name: str, saw: str, fix: str) -> Check:
    """It works, and will not for ever or not for everything."""
    return Check(name, "warn", saw, fix)


def fail(name: str, saw: str, fix: str) -> Check:
    """Readings are not taken, or do not arrive, until somebody does what `fix` says."""
    return Check(name, "fail", saw, fix)
