"""Cloudflare's client-certificates API, and any registration authority of the same shape.

POST {url}/zones/{zone}/client_certificates, or {url}/client_certificates without a zone. The codes and quirks
are of the API's reference and of what its other clients met: it signs the same request again each time, echoes
the CSR with other line ends, and answers 200 with an envelope.
"""

import ssl
from typing import Any, Final, cast

import requests

from agent.causes import causes, plain
from agent.delivery import retry_after
from agent.errors import AgentError, ConfigError, Refused, TryLater, UnusableAnswer
from agent.issuers import Issued
from agent.pem import same_key

TIMEOUT: Final = (10.0, 60.0)  # seconds to connect, and between two bytes: the API is serialised per zone
BLOCKED_SECONDS: Final = 300.0  # every call is refused for so long once the limit was passed
LIST_PAGES: Final = 20
TOKEN_CODES: Final = {6003, 6111, 9106, 9109, 10000}  # missing, malformed or unknown token
ZONE_CODES: Final = {7000, 7003}
NOT_YET_VALID, EXPIRED = 9, 10  # X509_V_ERR_*, openssl/x509_vfy.h


class CloudflareIssuer:
    """Signs with a bearer token: a zone's, or a one-time token of a registration authority."""

    name: Final = "cloudflare"
    can_renew: Final = False  # the API has no renewal, and a zone's token does not belong on a device

    def __init__(self, *, url: str, zone_id: str, token: str, ca_file: str, proxy: str = "") -> None:
        zone = f"/zones/{zone_id}" if zone_id else ""
        self._url = f"{url.rstrip('/')}{zone}/client_certificates"
        self._session = requests.Session()
        self._session.trust_env = False  # else .netrc replaces the token and REQUESTS_CA_BUNDLE the CA
        self._session.verify = ca_file
        self._session.headers["Authorization"] = f"Bearer {token}"
        if proxy:
            self._session.proxies["https"] = proxy

    def issue(self, request_pem: bytes, *, validity_days: int) -> Issued:
        """See Issuer."""
        result = self._call("POST", json={"csr": request_pem.decode("ascii"), "validity_days": validity_days})
        if not isinstance(result, dict) or not isinstance(result.get("certificate"), str):
            raise UnusableAnswer("the issuer's answer holds no certificate", hint="run enroll again; the key is kept")
        return Issued(result["certificate"], str(result.get("id", "")))

    def find(self, request_pem: bytes) -> Issued | None:
        """See Issuer."""
        for page in range(1, LIST_PAGES + 1):
            try:
                results = self._call("GET", params={"status": "active", "page": page, "per_page": 50})
            except (Refused, ConfigError):
                return None  # a registration authority need not have a list, nor a token the right to see it
            if not isinstance(results, list) or not results:
                return None
            for result in results:
                if _is_for(result, request_pem):
                    return Issued(result["certificate"], str(result.get("id", "")))
        return None

    def _call(self, method: str, **arguments: Any) -> Any:
        try:
            answer = self._session.request(method, self._url, timeout=TIMEOUT, allow_redirects=False, **arguments)
        except requests.exceptions.SSLError as error:
            raise _tls_fault(error, self._url) from error
        except (requests.RequestException, OSError) as error:
            raise TryLater(
                f"{self._url} cannot be reached: {plain(error)}", hint="check network and DNS, then run enroll again"
            ) from error
        if answer.status_code in {200, 201}:
            return _result(answer)
        raise refusal(
            answer.status_code, _errors(answer), url=self._url, wait=retry_after(answer.headers.get("Retry-After"))
        )


def _is_for(result: Any, request_pem: bytes) -> bool:
    if not isinstance(result, dict) or not isinstance(result.get("certificate"), str):
        return False
    try:
        return same_key(request_pem, cast("str", result["csr"]).encode())
    except (KeyError, AttributeError, ValueError):
        return False


def refusal(status: int, errors: list[tuple[int, str]], *, url: str, wait: float | None = None) -> AgentError:
    """The error that an answer other than 200 means; code and message are shown as the issuer sent them."""
    said = "; ".join(f"{code} {message}" if code else message for code, message in errors) or "no reason given"
    where = f"{url}: HTTP {status}: {said}"
    codes = {code for code, _ in errors}
    if status == 429:
        after = wait or BLOCKED_SECONDS
        return TryLater(where, hint=f"try again in {after:.0f} s", after=after)
    if status >= 500 or status in {408, 425}:
        return TryLater(where, hint="run enroll again later; the key is kept", after=wait or 0.0)
    if status < 400:
        return ConfigError(
            f"enroll.url: {where} (a redirect could take the token elsewhere)",
            hint="set enroll.url to where the API is",
        )
    if codes & ZONE_CODES or status in {404, 405}:
        return ConfigError(f"enroll.url, enroll.zone_id: {where}", hint="check enroll.url and enroll.zone_id")
    if codes & TOKEN_CODES or status in {401, 403}:
        return Refused(
            f"the token was refused: {where}",
            hint="give a token with the permission `SSL and Certificates: Edit` for the zone (an API token, not the global key)",
        )
    return Refused(f"the request was refused: {where}", hint="if it is about the key, set enroll.key_type")


def _result(answer: requests.Response) -> Any:
    try:
        envelope = answer.json()
    except ValueError as error:
        kind = answer.headers.get("Content-Type", "no type")
        raise UnusableAnswer(f"the issuer's answer is not JSON ({kind})", hint="is enroll.url the API's?") from error
    if not isinstance(envelope, dict) or "result" not in envelope:
        raise UnusableAnswer("the issuer's answer has no result", hint="is enroll.url the API's?")
    return envelope["result"]


def _errors(answer: requests.Response) -> list[tuple[int, str]]:
    """The envelope's (code, message) list; whatever else came, as the one message."""
    try:
        errors = answer.json()["errors"]
        return [(int(error.get("code", 0)), str(error.get("message", ""))[:200]) for error in errors]
    except (ValueError, TypeError, KeyError, AttributeError):
        words = " ".join(answer.text[:400].split())
        return [(0, "".join(letter for letter in words if letter.isprintable())[:120])] if words else []


def _tls_fault(error: requests.exceptions.SSLError, url: str) -> AgentError:
    """A clock in the past makes every certificate `not yet valid`: that is this board's fault, and passes."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            code, message = cause.verify_code, cause.verify_message
            break
        if type(cause).__name__ == "CertificateError":  # a wrong host name by urllib3 1.26's own check
            code, message = 0, str(cause)
            break
    else:
        return TryLater(f"{url}: TLS failed: {plain(error)}", hint="run enroll again later")
    if code == NOT_YET_VALID:
        return TryLater(
            f"{url}: its certificate is not yet valid by this device's clock", hint="timedatectl; set the clock"
        )
    if code == EXPIRED:
        return TryLater(
            f"{url}: its certificate has expired by this device's clock", hint="timedatectl; else ask the issuer"
        )
    return ConfigError(
        f"{url}: its certificate does not verify: {message}", hint="check enroll.url, enroll.ca_file and uplink.ca_file"
    )
