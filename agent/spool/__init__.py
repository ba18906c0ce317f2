"""The spool: readings on flash between sampling and delivery. The only package that talks to SQLite.

What others call is `queue`: the one lock, and the public methods. An `append` goes down this list, from `shelf` to `table`.
- where readings are: `shelf` (file and memory as one), `memory` (not yet committed), `departed` (what has left, while the
  file may still hold it; `watermark` tells the next process), `front` (what goes next), `again` (what goes once more).
- when to write: `writer` (when a commit is due, and `trouble` if it fails), `commit` (what one does), `bounds` (what is
  dropped when the spool is full).
- the file: `connection` (lost and made again), `store` (opened for this process alone), `blank` (a new one), `schema`,
  `header` (whose it is), `table` and `row` (its SQL).
- a damaged file: `damage` (moved aside), `damaged_files` (the rows that it still gives), `salvage` (which to ask for next).
- what is not simply pending: `held` (waits for the clock), `aside` (refused), `past` (delivered and still known, in packed
  blocks: `block`), `gaps` (why readings are missing). `known` gives out all of them.
"""

from agent.spool.bounds import Limits
from agent.spool.front import Counts
from agent.spool.queue import Spool
from agent.spool.row import Spooled
from agent.spool.store import is_spool

__all__ = ["Counts", "Limits", "Spool", "Spooled", "is_spool"]
