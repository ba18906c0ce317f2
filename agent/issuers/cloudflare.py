"""Cloudflare's client-certificates API, and any registration authority of the same shape.

POST {url}/zones/{zone}/client_certificates, or {url}/client_certificates without a zone. The codes and quirks
are of the API's reference and of what its other clients met: it signs the same request again each time, echoes
the CSR with other line ends, refuses a token that was made a moment ago, and answers 200 with an envelope.
"""

import threading
from collections.abc import Callable
from typing import Any, Final, cast

from agent.delivery import retry_after
from agent.errors import ENROLL, AgentError, ConfigError, Refused, TryLater, UnusableAnswer
from agent.issuers import Issued
from agent.issuers.call import SAID, Caller, Reply, passing, waiting_seconds, words
from agent.pem import public_key_sha256, same_key
from agent.printable import printable

WHOSE: Final = "is enroll.url the API's?"
LIST_PAGES: Final = 20
NOT_ALLOWED: Final = 10000
TOKEN_CODES: Final = {6003, 6111, 9106, 9109, NOT_ALLOWED}  # missing, malformed or unknown token
ZONE_CODES: Final = {7000, 7003}
# seconds between tries while a zone's token is refused: one just made may be, until all of the API knows it
YOUNG_TOKEN: Final = (0.25, 0.5, 1.0, 2.0, 2.0, 2.0, 2.0)


class CloudflareIssuer:
    """Shows a bearer token (a zone's, or a registration authority's one-time token), or the pair in force.

    `wait` waits that many seconds.
    """

    name: Final = "cloudflare"

    def __init__(
        self,
        *,
        url: str,
        zone_id: str,
        ca_file: str,
        token: str = "",
        pair: tuple[str, str] | None = None,
        proxy: str = "",
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.can_renew: Final = pair is not None  # the API itself has no renewal
        self._zone: Final = zone_id if pair is None else ""
        self._url = f"{url.rstrip('/')}{f'/zones/{self._zone}' if self._zone else ''}/client_certificates"
        self._caller = Caller(
            ca_file=ca_file, proxy=proxy, pair=pair, authorization=f"Bearer {token}" if pair is None else ""
        )
        self._wait = wait or threading.Event().wait

    def issue(self, request_pem: bytes, *, validity_days: int) -> Issued:
        """See Issuer."""
        body = {"csr": request_pem.decode("ascii"), "validity_days": validity_days}
        tries = iter(YOUNG_TOKEN if self._zone else ())
        while True:
            answer = self._caller("POST", self._url, json=body)
            codes = {code for code, _ in _errors(answer)}
            if answer.status_code in {400, 403} and NOT_ALLOWED in codes and (pause := next(tries, None)) is not None:
                self._wait(pause)
                continue
            break
        if answer.status_code == 202:
            raise TryLater(
                f"{self._url}: waiting for approval of the key {public_key_sha256(request_pem)}",
                hint="have it approved by that number, then run it again",
                after=waiting_seconds(answer),
            )
        try:
            result = self._result(answer)
        except Refused as error:
            about_token = bool(codes & TOKEN_CODES) or answer.status_code in {401, 403}
            raise (error if about_token else self._with_count(error)) from error
        if not isinstance(result, dict) or not isinstance(result.get("certificate"), str):
            raise UnusableAnswer("the issuer's answer holds no certificate", hint="run it again; the key is kept")
        return _issued(result)

    def find(self, request_pem: bytes) -> Issued | None:
        """See Issuer."""
        for page in range(1, LIST_PAGES + 1):
            try:
                results = self._list(page)
            except (Refused, ConfigError):
                return None  # a registration authority need not have a list, nor a token the right to see it
            if not isinstance(results, list) or not results:
                return None
            for result in results:
                if _is_for(result, request_pem):
                    return _issued(result)
        return None

    def reach(self) -> str:
        """See Issuer."""
        self._list(1)
        return f"{self._url} answers, and knows the {'certificate' if self.can_renew else 'token'}"

    def settle(self, *, old_id: str, pair: tuple[str, str]) -> str:
        """See Issuer. A zone revokes the old certificate; a registration authority does when it sees the new one."""
        if self.can_renew:
            seen = Caller(ca_file=self._caller.ca_file, proxy=self._caller.proxy, pair=pair)
            try:
                self._result(seen("GET", self._url))
            finally:
                seen.close()
            return f"{self._url} has seen the new certificate"
        if self._zone and old_id:
            self._result(self._caller("DELETE", f"{self._url}/{old_id}"))
            return f"the certificate before, {old_id}, is revoked"
        return ""

    def close(self) -> None:
        """Close the connections."""
        self._caller.close()

    def _list(self, page: int) -> Any:
        # a registration authority shows the asker's own certificate and minds no parameters
        shown = {"status": "active", "page": page, "per_page": 50}
        return self._result(self._caller("GET", self._url, params=shown))

    def _result(self, answer: Reply) -> Any:
        if answer.status_code in {200, 201}:
            return _result(answer)
        wait = retry_after(answer.headers.get("Retry-After"))
        raise refusal(answer.status_code, _errors(answer), url=self._url, wait=wait, renewal=self.can_renew)

    def _with_count(self, error: Refused) -> Refused:
        """With the number of the zone's certificates in force, for there is a quota; as it was if nobody tells."""
        if not self._zone:
            return error
        try:
            answer = self._caller("GET", self._url, params={"status": "active", "page": 1, "per_page": 5})
            count = int(answer.json()["result_info"]["total_count"])
        except (AgentError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return error
        return Refused(f"{error} (the zone has {count} certificates in force)", hint=error.hint)


def _issued(result: dict[str, Any]) -> Issued:
    return Issued(result["certificate"], printable(result.get("id", ""), 64))


def _is_for(result: Any, request_pem: bytes) -> bool:
    if not isinstance(result, dict) or not isinstance(result.get("certificate"), str):
        return False
    try:
        return same_key(request_pem, cast("str", result["csr"]).encode())
    except (KeyError, AttributeError, UnicodeEncodeError):
        return False


def refusal(
    status: int, errors: list[tuple[int, str]], *, url: str, wait: float | None = None, renewal: bool = False
) -> AgentError:
    """The error that an answer other than 200 means; code and message are shown as sent, made printable."""
    said = "; ".join(f"{code} {message}" if code else message for code, message in errors)
    where = f"{url}: HTTP {status}: {printable(said, SAID) or 'no reason given'}"
    codes = {code for code, _ in errors}
    passes = passing(status, where, wait=wait)
    if passes is not None:
        return passes
    if status < 400:
        return ConfigError(f"enroll.url: {where}", hint="set enroll.url to where the API is")
    if codes & ZONE_CODES or status in {404, 405}:
        return ConfigError(f"enroll.url, enroll.zone_id: {where}", hint="check enroll.url and enroll.zone_id")
    if renewal and (codes & TOKEN_CODES or status in {401, 403}):
        return Refused(f"the certificate in force renews nothing: {where}", hint=f"{ENROLL} --force, with a new token")
    if codes & TOKEN_CODES or status in {401, 403}:
        return Refused(
            f"the token was refused: {where}",
            hint="give a new one-time token, or an API token (not the global key) with the permission"
            " `SSL and Certificates: Edit` for the zone",
        )
    mended = (
        "set device.name, or take a token made with --name"
        if "name" in said
        else 'if it is about the key, set enroll.key_type = "rsa2048"'
    )
    return Refused(f"the request was refused: {where}", hint=mended)


def _result(answer: Reply) -> Any:
    try:
        envelope = answer.json()
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer(f"the issuer's answer is not JSON ({answer.kind})", hint=WHOSE) from error
    if not isinstance(envelope, dict) or "result" not in envelope:
        raise UnusableAnswer("the issuer's answer has no result", hint=WHOSE)
    return envelope["result"]


def _errors(answer: Reply) -> list[tuple[int, str]]:
    """The envelope's (code, message) list; whatever else came, as the one message."""
    if answer.status_code < 300:
        return []
    try:
        errors = answer.json()["errors"]
        return [(int(error.get("code", 0)), str(error.get("message", ""))[:200]) for error in errors]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        said = words(answer)
        return [(0, said)] if said else []
