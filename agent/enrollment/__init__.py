"""Key, request, certificate, in an order that a power cut may interrupt anywhere: run again, it goes on."""

from agent.enrollment.enroll import enroll, rehearse
from agent.enrollment.external import export_request, import_pair
from agent.enrollment.patience import Patience
from agent.enrollment.records import Probe, Report, Seen, Step, Wish
from agent.enrollment.renew import Credentials, renew
from agent.enrollment.standing import current, roll_back

__all__ = [
    "Credentials",
    "Patience",
    "Probe",
    "Report",
    "Seen",
    "Step",
    "Wish",
    "current",
    "enroll",
    "export_request",
    "import_pair",
    "rehearse",
    "renew",
    "roll_back",
]
