"""What came of a request: an answer by its status, headers and first words, or the exception in its place."""

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from agent.causes import causes, plain
from agent.delivery import Answer, Verdict, judge, offer, retry_after
from agent.printable import printable

BATCH_STATUS: Final = 207  # Multi-Status: understood, and a result for each item
# alerts that are about this device's certificate; others (internal error …) are the server's weather
REFUSALS: Final = ("ALERT_CERTIFICATE", "ALERT_BAD_CERTIFICATE", "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_UNKNOWN_CA",
                   "ALERT_ACCESS_DENIED", "ALERT_DECRYPT_ERROR", "ALERT_HANDSHAKE_FAILURE")  # fmt: skip


def outcome(status: int, fields: Mapping[str, str], text: bytes, *, accept: tuple[int, ...]) -> Answer:
    """The answer of a shield, or of whoever answers in its place; `text` is the beginning of its body."""
    announced = fields.get("sensor-batch")
    tells = announced is not None or status in {*accept, BATCH_STATUS}
    later = fields.get("retry-after")
    return Answer(
        verdict=judge(status, content_type=fields.get("content-type", ""), text=text, accept=accept),
        status=status,
        retry_after=retry_after(later, now=datetime.now(UTC)) if later else None,
        detail=describe(status, text, fields),
        offer=offer(announced, fields.get("accept-encoding")) if tells else None,
    )


def fault(error: Exception, *, sent: bool, stale: bool = False) -> Answer:
    """What an exception of the transport means; `sent`: some of the request had left, so it may have been stored.

    A server certificate that does not verify is not the shield (or the clock is wrong): MISDIRECTED. An alert
    about the certificate is a refusal of this device. Everything else may pass.
    """
    chain = list(causes(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Answer(
                Verdict.MISDIRECTED, detail=f"the shield's certificate does not verify: {cause.verify_message}"
            )
    for cause in chain:
        if isinstance(cause, ssl.SSLError) and any(word in (cause.reason or "") for word in REFUSALS):
            return Answer(Verdict.HOLD, detail=f"TLS refusal: {cause.reason}")
    return Answer(Verdict.RETRY, detail=plain(error), ambiguous=sent, stale=stale)


def describe(status: int, text: bytes, fields: Mapping[str, str]) -> str:
    """The answer in one line for a person: status, Cloudflare's ray id, and the first words, made printable."""
    ray = printable(fields.get("cf-ray", ""), 40)
    said = f"HTTP {status}, CF-Ray {ray}" if ray else f"HTTP {status}"
    if not text:
        return said
    words = printable(text[:2048].decode("utf-8", "replace"), 120)
    return f"{said}: {words}" if words else said
