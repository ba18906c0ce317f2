"""The thread of a bus: who waits for a tick is woken once a bus, and hears at once what a hanging one gave before."""

import queue
import threading
import time

from agent.lanes import Lane

Bell = queue.SimpleQueue["Lane[int, int]"]


def test_it_rings_once_for_all_that_is_read_on_it() -> None:
    bell: Bell = queue.SimpleQueue()
    lane = Lane("one", lambda work: 10 * work, lambda _: -1, bell, time.monotonic)
    lane.start()

    lane.work.put([1, 2, 3])
    assert bell.get(timeout=10) is lane
    assert list(lane.finished) == [10, 20, 30]
    assert bell.empty()
    lane.work.put(None)
    lane.join(10)


def test_what_was_read_before_it_hung_is_there() -> None:
    bell: Bell = queue.SimpleQueue()
    hanging, goes_on = threading.Event(), threading.Event()

    def read(work: int) -> int:
        if work == 2:
            hanging.set()
            goes_on.wait(10)
        return work

    lane = Lane("hanging", read, lambda _: -1, bell, time.monotonic)
    lane.start()
    lane.work.put([1, 2, 3])
    assert hanging.wait(10)
    assert list(lane.finished) == [1]
    assert bell.empty()
    goes_on.set()
    assert bell.get(timeout=10) is lane
    assert list(lane.finished) == [1, 2, 3]
    lane.work.put(None)
    lane.join(10)
