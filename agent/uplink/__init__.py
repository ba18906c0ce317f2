"""The way to the shield. The only package that talks to it: one POST at a time on one kept-alive connection."""

from typing import TYPE_CHECKING, Any

from agent.uplink.late import LateUplink
from agent.uplink.target import Target

if TYPE_CHECKING:
    from agent.uplink.post import Uplink

__all__ = ["LateUplink", "Target", "Uplink"]


def __getattr__(name: str) -> Any:
    """`Uplink`, imported when first asked for: it brings urllib3 and ssl, a fifth of the daemon's memory and start."""
    if name != "Uplink":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from agent.stand_ins import standing_in
    from agent.uplink.stand_ins import metadata

    with standing_in(metadata()):
        from agent.uplink.post import Uplink
    globals()["Uplink"] = Uplink
    return Uplink
