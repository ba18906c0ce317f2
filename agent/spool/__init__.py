"""The spool: readings on flash between sampling and delivery. The only package that talks to SQLite."""

from agent.spool.bounds import Limits
from agent.spool.front import Counts
from agent.spool.queue import Spool
from agent.spool.row import Spooled
from agent.spool.store import is_spool

__all__ = ["Counts", "Limits", "Spool", "Spooled", "is_spool"]
