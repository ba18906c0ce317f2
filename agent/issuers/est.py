"""Enrollment over Secure Transport (RFC 7030): a one-time password at first, the old certificate from then on.

{url}/cacerts, {url}/simpleenroll with Basic credentials, {url}/simplereenroll over mutual TLS. A URL without a
path gets the well-known one. Bodies are base64 of DER on a single line: strongSwan fails at line breaks.
"""

import base64
import binascii
from typing import Final
from urllib.parse import urlsplit

from agent.delivery import retry_after
from agent.errors import ENROLL, AgentError, ConfigError, Refused, TryLater, UnusableAnswer
from agent.issuers import Issued
from agent.issuers.call import Caller, Reply, passing, waiting_seconds, words
from agent.pem import from_pkcs7, public_key_sha256, request_der

WELL_KNOWN: Final = "/.well-known/est"


class EstIssuer:
    """Shows `token`, which is `id:password`, or the pair in force. Raises Refused for a token of another form."""

    name: Final = "est"
    can_renew: Final = True

    def __init__(
        self, *, url: str, ca_file: str, token: str = "", pair: tuple[str, str] | None = None, proxy: str = ""
    ) -> None:
        if pair is None and ":" not in token:
            raise Refused(
                "the token of an EST server must be `id:password`", hint="write both on one line of the token file"
            )
        bare = urlsplit(url).path in {"", "/"}
        self._url = url.rstrip("/") + (WELL_KNOWN if bare else "")
        basic = "" if pair else "Basic " + base64.b64encode(token.encode()).decode("ascii")
        self._operation = "simplereenroll" if pair else "simpleenroll"
        self._caller = Caller(ca_file=ca_file, proxy=proxy, authorization=basic, pair=pair)

    def issue(self, request_pem: bytes, *, validity_days: int) -> Issued:
        """See Issuer. EST has no word for the validity: the server's policy decides."""
        del validity_days
        url = f"{self._url}/{self._operation}"
        answer = self._caller(
            "POST",
            url,
            data=base64.b64encode(request_der(request_pem)),
            headers={"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"},
        )
        if answer.status_code == 202:
            raise TryLater(
                f"{url}: waiting for approval of the key {public_key_sha256(request_pem)}",
                hint="have it approved by that number, then run it again",
                after=waiting_seconds(answer),
            )
        if answer.status_code != 200:
            raise self._refusal(answer, url)
        return Issued(_certificates(answer).decode("ascii"), "")

    def find(self, request_pem: bytes) -> Issued | None:
        """See Issuer. EST has no list; whether the same request costs a second certificate is the server's choice."""
        del request_pem
        return None

    def reach(self) -> str:
        """See Issuer."""
        url = f"{self._url}/cacerts"
        answer = self._caller("GET", url)
        if answer.status_code != 200:
            raise self._refusal(answer, url)
        return f"{url} answers with {_certificates(answer).count(b'BEGIN')} certificates"

    def settle(self, *, old_id: str, pair: tuple[str, str]) -> str:
        """See Issuer. RFC 7030 has nothing to say about the old one."""
        del old_id, pair
        return ""

    def close(self) -> None:
        """Close the connections."""
        self._caller.close()

    def _refusal(self, answer: Reply, url: str) -> AgentError:
        status = answer.status_code
        where = f"{url}: HTTP {status}: {words(answer) or 'no reason given'}"
        passes = passing(status, where, wait=retry_after(answer.headers.get("Retry-After")))
        if passes is not None:
            return passes
        if status in {404, 405}:
            return ConfigError(f"enroll.url: {where}", hint="set enroll.url to the server's …/.well-known/est")
        if status in {401, 403} and self._caller.pair is not None:
            return Refused(
                f"the certificate in force renews nothing: {where}",
                hint=f"{ENROLL} --force, with a new token",
            )
        if status in {401, 403}:
            return Refused(f"the token was refused: {where}", hint="give a new id:password")
        return Refused(
            f"the request was refused: {where}", hint='if it is about the key, set enroll.key_type = "rsa2048"'
        )


def _certificates(answer: Reply) -> bytes:
    """Those of a certs-only answer as PEM."""
    try:
        der = base64.b64decode(b"".join(answer.content.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnusableAnswer(
            f"the issuer's answer is not base64 ({answer.kind})", hint="is enroll.url EST's?"
        ) from error
    return from_pkcs7(der)
