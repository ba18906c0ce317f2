"""Buses and the threads that read them: one reads all in turn, but a bus that is slow or hangs has one to itself.

Threads that read files at the same time wait for each other, for Python's lock: three buses in three threads woke eight
times a tick, in one thread once. So a tick begins with as few threads as will be through in time, and another one is
woken for the buses that wait behind one that does not come back. Nor does anyone wake anyone while all goes well, since
both would want that lock: what is to be read next is prepared, and a thread comes for it by its own clock.
"""

from agent.lanes.lanes import Lanes

__all__ = ["Lanes"]
