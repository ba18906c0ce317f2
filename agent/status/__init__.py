"""What `status` says: the state of every part as one JSON object, and what is wrong with the command that mends it.

Pure: records in, a dictionary out. Times are UTC text; a value that is not there is None, never a stand-in.
"""

from agent.status.moment import Moment
from agent.status.problems import Problem, seen_to, state_of
from agent.status.resumed import trends
from agent.status.snapshot import snapshot

__all__ = ["Moment", "Problem", "seen_to", "snapshot", "state_of", "trends"]
