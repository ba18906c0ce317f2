"""A 1-Wire bus that takes its time: conversions one after the other, or one for all, as the kernel has it."""

import os
import select
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.devshield.onewire_tree import MASTER, OneWireTree, frame_text, scratchpad


@contextmanager
def played_bus(root: Path, ids: Iterable[str], *, seconds: float, bulk: bool) -> Iterator[list[str]]:
    """A master on which a conversion takes that long; pipes stand in for the kernel's files.

    Gives what was converted so far: an id, or `all`.
    """
    tree = OneWireTree(root)
    converted: list[str] = []
    ended = threading.Event()
    held = threading.Lock()  # the kernel's mutex of the bus
    waiting: set[str] = set()  # whose result of a bulk conversion nobody has read
    frame = frame_text(scratchpad(20.0)).encode()
    pipes = {}
    for each in ids:
        tree.add(each)
        pipes[each] = tree.hang(each)
    trigger = -1
    if bulk:
        file = root / "sys/devices" / MASTER / "therm_bulk_read"
        os.mkfifo(file)
        trigger = os.open(file, os.O_RDWR | os.O_NONBLOCK)

    def serve(each: str, pipe: Path) -> None:
        while not ended.is_set():
            with pipe.open("wb", buffering=0) as end:  # returns when the driver opens the other end
                if ended.is_set():
                    return
                pipe.unlink()
                os.mkfifo(pipe)
                with held:
                    convert(each)
                end.write(frame)

    def convert(each: str) -> None:
        if trigger >= 0 and select.select([trigger], [], [], 0)[0] and os.read(trigger, 4096):
            converted.append("all")
            waiting.update(pipes)
            ended.wait(seconds)
        if each not in waiting:
            converted.append(each)
            ended.wait(seconds)
        waiting.discard(each)

    threads = [threading.Thread(target=serve, args=pair, daemon=True) for pair in pipes.items()]
    for thread in threads:
        thread.start()
    try:
        yield converted
    finally:
        ended.set()
        for thread, pipe in zip(threads, pipes.values(), strict=True):
            os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))  # wakes one that waits for a reader
            thread.join(5)
        if trigger >= 0:
            os.close(trigger)
