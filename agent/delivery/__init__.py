"""What an answer of the shield means, for the reading and for the line: pure, so every rule is a row of a table test."""

from agent.delivery.answer import Answer, Verdict, judge, retry_after
from agent.delivery.batch import Batching, fitting, item, results, spoken_for
from agent.delivery.line import Backoff, Line, LineState
from agent.delivery.listed import is_same, listed, names_device, second, take
from agent.delivery.offer import Offer, offer
from agent.delivery.suspects import Suspects

__all__ = [
    "Answer",
    "Backoff",
    "Batching",
    "Line",
    "LineState",
    "Offer",
    "Suspects",
    "Verdict",
    "fitting",
    "is_same",
    "item",
    "judge",
    "listed",
    "names_device",
    "offer",
    "results",
    "retry_after",
    "second",
    "spoken_for",
    "take",
]
