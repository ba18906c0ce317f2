"""What is wrong, layer by layer: facts are gathered here, judged by pure functions, and each comes with its fix.

Nothing is stored, no reading is sent, and no module knows another one's facts: `cli.check` puts them in order.
"""

from agent.checks.finding import Check

__all__ = ["Check"]
