"""Users and groups of the system below a root, and what they may do to a file: from /etc, without asking the running one."""

import os
from pathlib import Path
from typing import Final

from agent.record import dataclass

SERVICE: Final = "sensor-agent"


@dataclass(frozen=True, slots=True)
class Account:
    """A user with the groups that it is in."""

    name: str
    user: int
    groups: frozenset[int]


def service_account(root: Path) -> Account | None:
    """The user that the unit runs as; None where the package is not installed."""
    for fields in _rows(root / "etc/passwd", 4):
        if fields[0] == SERVICE:
            members = [row for row in _rows(root / "etc/group", 4) if SERVICE in row[3].split(",")]
            return Account(SERVICE, int(fields[2]), frozenset({int(fields[3]), *(int(row[2]) for row in members)}))
    return None


def group_ids(root: Path) -> dict[str, int]:
    """The number of each group; empty where there is no list."""
    return {fields[0]: int(fields[2]) for fields in _rows(root / "etc/group", 3)}


def may(account: Account, status: os.stat_result, want: int) -> bool:
    """Whether the account may do what `want` says (4 read, 2 write, 1 enter), by owner, group and mode."""
    if account.user == 0:
        return True
    shift = 6 if status.st_uid == account.user else 3 if status.st_gid in account.groups else 0
    return status.st_mode >> shift & want == want


def _rows(file: Path, least: int) -> list[list[str]]:
    """The lines with that many fields, of which the third is a number, as passwd(5) and group(5) have it."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    rows = [line.split(":") for line in lines]
    return [row for row in rows if len(row) >= least and row[2].isdecimal()]
