"""What a process uses, as /proc has it: CPU, memory, wake-ups, files. Any process: our daemon or a peer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """In MiB: resident, its proportional part (shared pages divided by those who share them), and private."""

    rss: float
    pss: float
    private: float


def tree(pid: int) -> list[int]:
    """The process and all its descendants that live."""
    found, left = [], [pid]
    while left:
        each = left.pop()
        found.append(each)
        for task in _tasks(each):
            try:
                left += map(int, (task / "children").read_text().split())
            except OSError:
                continue
    return found


def _tasks(pid: int) -> Iterator[Path]:
    try:
        yield from Path(f"/proc/{pid}/task").iterdir()
    except OSError:
        return


def cpu(pid: int) -> float:
    """Seconds on a core so far of all threads that live, to the nanosecond."""
    total = 0
    for each in tree(pid):
        for task in _tasks(each):
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


def memory(pid: int) -> Memory:
    """Of the process and its descendants together."""
    total = dict.fromkeys(("Rss", "Pss", "Private_Clean", "Private_Dirty"), 0)
    for each in tree(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            name, _, rest = line.partition(":")
            if name in total:
                total[name] += int(rest.split()[0])
    kib = total["Rss"], total["Pss"], total["Private_Clean"] + total["Private_Dirty"]
    return Memory(*(each / 1024 for each in kib))


def wakeups(pid: int) -> dict[int, int]:
    """Voluntary context switches by thread, in the order in which the threads were made: each is a wait that has ended."""
    found: dict[int, int] = {}
    for each in tree(pid):
        for task in _tasks(each):
            try:
                status = (task / "status").read_text()
            except OSError:
                continue
            found[int(task.name)] = int(status.split("voluntary_ctxt_switches:")[1].split()[0])
    return dict(sorted(found.items()))


def open_files(pid: int) -> int:
    """Descriptors of the process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def threads(pid: int) -> int:
    """Threads of the process."""
    return sum(1 for _ in _tasks(pid))
