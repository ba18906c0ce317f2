"""The way from the spool to the shield: one POST at a time, as the line allows."""

from agent.flush.flush import Flush
from agent.flush.outbox import Outbox
from agent.flush.plan import Delivered, Plan, Poster
from agent.flush.shown import LOOK_SECONDS

__all__ = ["LOOK_SECONDS", "Delivered", "Flush", "Outbox", "Plan", "Poster"]
