"""What an answer of the shield means, for the reading and for the line: pure, so every rule is a row of a table test."""

from agent.delivery.answer import Answer, Verdict, judge, lists, retry_after
from agent.delivery.line import Backoff, Line, LineState
from agent.delivery.suspects import Suspects

__all__ = ["Answer", "Backoff", "Line", "LineState", "Suspects", "Verdict", "judge", "lists", "retry_after"]
