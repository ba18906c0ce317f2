"""One HTTPS request to an issuer, and what every issuer's answers have in common.

The environment's CA and proxy variables and .netrc are never read, and a redirect is never followed: it would
turn the POST into a GET, or take the token elsewhere.
"""

import ssl
from typing import Any, Final

import requests

from agent.causes import causes, plain
from agent.delivery import retry_after
from agent.errors import ENROLL, AgentError, ConfigError, Refused, TryLater

TIMEOUT: Final = (10.0, 60.0)  # seconds to connect, and between two bytes: an API may be serialised per zone
BLOCKED_SECONDS: Final = 300.0  # Cloudflare refuses every call for so long once the limit was passed
NOT_YET_VALID, EXPIRED = 9, 10  # X509_V_ERR_*, openssl/x509_vfy.h
# alerts of TLS 1.2 and 1.3 by which a server turns a client certificate down
TURNED_DOWN: Final = ("ALERT_CERTIFICATE", "ALERT_BAD_CERTIFICATE", "ALERT_UNSUPPORTED_CERTIFICATE",
                      "ALERT_UNKNOWN_CA", "ALERT_ACCESS_DENIED", "CERTIFICATE_REQUIRED")  # fmt: skip


class Caller:
    """Calls with one credential: an Authorization header, or a client certificate (certificate file, key file)."""

    def __init__(
        self, *, ca_file: str, proxy: str = "", authorization: str = "", pair: tuple[str, str] | None = None
    ) -> None:
        self.ca_file: Final = ca_file
        self.proxy: Final = proxy
        self.pair: Final = pair
        self._session = requests.Session()
        self._session.trust_env = False  # else .netrc replaces the token and REQUESTS_CA_BUNDLE the CA
        self._session.verify = ca_file
        if pair is not None:
            self._session.cert = pair
        if authorization:
            self._session.headers["Authorization"] = authorization
        if proxy:
            self._session.proxies["https"] = proxy

    def __call__(self, method: str, url: str, **arguments: Any) -> requests.Response:
        """The answer, unless it is a redirect or somebody's web page.

        Raises TryLater, ConfigError, or Refused for an alert about the client certificate.
        """
        try:
            answer = self._session.request(method, url, timeout=TIMEOUT, allow_redirects=False, **arguments)
        except requests.exceptions.SSLError as error:
            raise tls_fault(error, url, shown=self.pair is not None) from error
        except (requests.RequestException, OSError) as error:
            raise TryLater(
                f"{url} cannot be reached: {plain(error)}", hint="check network and DNS, then run it again"
            ) from error
        if 300 <= answer.status_code < 400:
            raise ConfigError(
                f"enroll.url: {url}: HTTP {answer.status_code}, a redirect, which could take the token elsewhere",
                hint="set enroll.url to where the issuer itself answers",
            )
        if answer.status_code < 300 and answer.headers.get("Content-Type", "").startswith("text/html"):
            raise TryLater(
                f"{url}: a web page came instead of the issuer's answer (a captive portal?)",
                hint="open a web page on this network and sign in, then run it again",
            )
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def passing(status: int, where: str, *, wait: float | None = None) -> TryLater | None:
    """The error of an answer that another try may change; None for one that a person must deal with."""
    if status == 429:
        after = wait or BLOCKED_SECONDS
        return TryLater(where, hint=f"try again in {after:.0f} s", after=after)
    if status >= 500 or status in {408, 425}:
        return TryLater(where, hint="run it again later; the key is kept", after=wait or 0.0)
    return None


def waiting_seconds(answer: requests.Response, *, otherwise: float = 60.0) -> float:
    """What Retry-After says, between a second and an hour."""
    asked = retry_after(answer.headers.get("Retry-After"))
    return min(max(otherwise if asked is None else asked, 1.0), 3600.0)


def words(answer: requests.Response) -> str:
    """The beginning of an answer's body on one line, made printable."""
    text = " ".join(answer.content[:400].decode("utf-8", "replace").split())  # not in what it calls its encoding
    return "".join(letter for letter in text if letter.isprintable())[:120]


def tls_fault(error: requests.exceptions.SSLError, url: str, *, shown: bool) -> AgentError:
    """A clock in the past makes every certificate `not yet valid`: that is this board's fault, and passes."""
    chain = list(causes(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _unverified(cause.verify_code, cause.verify_message, url)
        if type(cause).__name__ == "CertificateError":  # a wrong host name by urllib3 1.26's own check
            return _unverified(0, str(cause), url)
    for cause in chain:
        if shown and isinstance(cause, ssl.SSLError) and any(word in (cause.reason or "") for word in TURNED_DOWN):
            return Refused(
                f"{url}: the issuer turns this device's certificate down: {cause.reason}",
                hint=f"{ENROLL} --force, with a new token",
            )
    return TryLater(f"{url}: TLS failed: {plain(error)}", hint="run it again later")


def _unverified(code: int, message: str, url: str) -> AgentError:
    if code == NOT_YET_VALID:
        return TryLater(
            f"{url}: its certificate is not yet valid by this device's clock", hint="timedatectl # and set the clock"
        )
    if code == EXPIRED:
        return TryLater(
            f"{url}: its certificate has expired by this device's clock", hint="timedatectl # else ask the issuer"
        )
    return ConfigError(
        f"{url}: its certificate does not verify: {message}", hint="check enroll.url, enroll.ca_file and uplink.ca_file"
    )
