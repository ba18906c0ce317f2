"""The way from the spool to the shield: one POST at a time, as the line allows."""

from agent.flush.flush import LOOK_SECONDS, Flush
from agent.flush.outbox import Outbox
from agent.flush.plan import Delivered, Plan, Poster

__all__ = ["LOOK_SECONDS", "Delivered", "Flush", "Outbox", "Plan", "Poster"]
