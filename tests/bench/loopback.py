"""What the loopback has carried; in a network namespace of its own it carries a bench and nothing else."""

from pathlib import Path


def wire() -> tuple[int, int]:
    """Bytes and packets so far, headers included; each counts once, though it is sent and received here."""
    line = next(row for row in Path("/proc/net/dev").read_text().splitlines() if row.strip().startswith("lo:"))
    numbers = line.partition(":")[2].split()
    return int(numbers[0]), int(numbers[1])
