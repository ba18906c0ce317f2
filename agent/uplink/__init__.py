"""The way to the shield. The only package that talks to it: one POST at a time on one kept-alive connection."""

from agent.uplink.post import Target, Uplink

__all__ = ["Target", "Uplink"]
