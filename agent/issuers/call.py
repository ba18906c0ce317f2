"""One HTTPS request to an issuer, and what every issuer's answers have in common.

The environment's CA and proxy variables and .netrc are never read, and a redirect is never followed: it would
turn the POST into a GET, or take the token elsewhere.
"""

import errno
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

import requests
import urllib3

from agent.causes import causes, plain
from agent.delivery import retry_after
from agent.errors import ENROLL, AgentError, ConfigError, Refused, TryLater, UnusableAnswer
from agent.printable import printable
from agent.record import dataclass

TIMEOUT: Final = (10.0, 60.0)  # seconds to connect, and between two bytes: an API may be serialised per zone
WHOLE_SECONDS: Final = 120.0  # from the question to the answer's last byte
MOST: Final = 1 << 20  # bytes of an answer; a page of fifty certificates is a tenth of it
SAID: Final = 300  # letters of it that a person is shown
BLOCKED_SECONDS: Final = 300.0  # Cloudflare refuses every call for so long once the limit was passed
NOT_YET_VALID, EXPIRED = 9, 10  # X509_V_ERR_*, openssl/x509_vfy.h
# alerts of TLS 1.2 and 1.3 by which a server turns a client certificate down
TURNED_DOWN: Final = ("ALERT_CERTIFICATE", "ALERT_BAD_CERTIFICATE", "ALERT_UNSUPPORTED_CERTIFICATE",
                      "ALERT_UNKNOWN_CA", "ALERT_ACCESS_DENIED", "CERTIFICATE_REQUIRED")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, all of it."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def kind(self) -> str:
        """What it calls its content, printable."""
        return printable(self.headers.get("Content-Type", "no type"), 80)

    def json(self) -> Any:
        """Raises ValueError, or RecursionError."""
        return json.loads(self.content)


class Caller:
    """Calls with one credential: an Authorization header, or a client certificate (certificate file, key file)."""

    def __init__(
        self,
        *,
        ca_file: str,
        proxy: str = "",
        authorization: str = "",
        pair: tuple[str, str] | None = None,
        seconds: float = WHOLE_SECONDS,
    ) -> None:
        self.ca_file: Final = ca_file
        self.proxy: Final = proxy
        self.pair: Final = pair
        self._seconds: Final = seconds
        self._session = requests.Session()
        self._session.trust_env = False  # else .netrc replaces the token and REQUESTS_CA_BUNDLE the CA
        self._session.verify = ca_file
        if pair is not None:
            self._session.cert = pair
        self._session.headers["Accept-Encoding"] = "identity"  # a megabyte may unpack to a thousand
        if authorization:
            self._session.headers["Authorization"] = authorization
        if proxy:
            self._session.proxies["https"] = proxy

    def __call__(self, method: str, url: str, **arguments: Any) -> Reply:
        """The answer, unless it is a redirect or somebody's web page.

        Raises TryLater, ConfigError, UnusableAnswer, or Refused for an alert about the client certificate.
        """
        try:
            answer = self._within(lambda: self._ask(method, url, **arguments))
        except requests.exceptions.SSLError as error:
            raise tls_fault(error, url, shown=self.pair is not None) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise TryLater(
                f"{url} cannot be reached: {plain(error)}", hint="check network and DNS, then run it again"
            ) from error
        if 300 <= answer.status_code < 400:
            raise ConfigError(
                f"enroll.url: {url}: HTTP {answer.status_code}, a redirect, which could take the token elsewhere",
                hint="set enroll.url to where the issuer itself answers",
            )
        if answer.status_code < 300 and answer.kind.startswith("text/html"):
            raise TryLater(
                f"{url}: a web page came instead of the issuer's answer (a captive portal?)",
                hint="open a web page on this network and sign in, then run it again",
            )
        if answer.status_code < 300 and len(answer.content) > MOST:
            raise UnusableAnswer(f"{url}: the issuer's answer is longer than {MOST} bytes", hint="check enroll.url")
        return answer

    def _within(self, ask: Callable[[], Reply]) -> Reply:
        """In a thread that is left behind when its time is over: requests bounds each byte, and not their number."""
        answered: Future[Reply] = Future()

        def run() -> None:
            try:
                answered.set_result(ask())
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                answered.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        try:
            return answered.result(self._seconds)
        except TimeoutError as error:
            if answered.done():
                raise
            raise TimeoutError(errno.ETIMEDOUT, f"no whole answer within {self._seconds:g} s") from error

    def _ask(self, method: str, url: str, **arguments: Any) -> Reply:
        """What is beyond MOST bytes stays unread."""
        answer = self._session.request(method, url, timeout=TIMEOUT, allow_redirects=False, stream=True, **arguments)
        content = answer.raw.read(MOST + 1, decode_content=False)
        if len(content) > MOST:
            answer.close()
        else:
            answer.raw.release_conn()
        return Reply(answer.status_code, answer.headers, content)

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


def waiting_seconds(answer: Reply) -> float:
    """What Retry-After says, between a second and an hour."""
    return min(max(retry_after(answer.headers.get("Retry-After")) or 1.0, 1.0), 3600.0)


def words(answer: Reply) -> str:
    """The beginning of an answer's body on one line, made printable."""
    return printable(answer.content[:400].decode("utf-8", "replace"), 120)  # not in what it calls its encoding


def tls_fault(error: requests.exceptions.SSLError, url: str, *, shown: bool) -> AgentError:
    """A clock in the past makes every certificate `not yet valid`: that is this board's fault, and passes."""
    chain = list(causes(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _unverified(cause.verify_code, cause.verify_message, url)
        if type(cause).__name__ == "CertificateError":  # a wrong host name by urllib3 1.26's own check
            return _unverified(0, printable(cause, 200), url)
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
