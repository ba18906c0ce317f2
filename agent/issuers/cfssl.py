"""CloudFlare's cfssl as `cfssl serve` runs it: `sign` for whoever may connect, `authsign` with a shared key.

{url}/api/v1/cfssl/sign and …/authsign. An unknown profile is silently the default one, so what was signed is held
against what was asked.
"""

import base64
import hashlib
import hmac
import json
from typing import Any, Final
from urllib.parse import urlsplit

from agent.delivery import retry_after
from agent.errors import AgentError, ConfigError, Refused, UnusableAnswer
from agent.issuers import Issued
from agent.issuers.call import SAID, Caller, Reply, passing, words
from agent.printable import printable

PATH: Final = "/api/v1/cfssl"


class CfsslIssuer:
    """Signs each request with `token`, the profile's key in hex, when there is one; shows the pair if given."""

    name: Final = "cfssl"
    can_renew: Final = True

    def __init__(
        self,
        *,
        url: str,
        ca_file: str,
        token: str = "",
        profile: str = "",
        pair: tuple[str, str] | None = None,
        proxy: str = "",
    ) -> None:
        try:
            self._key = bytes.fromhex(token)
        except ValueError as error:
            raise Refused(
                "the token for cfssl must be the profile's key in hex", hint="the one of auth_keys in its configuration"
            ) from error
        bare = urlsplit(url).path in {"", "/"}
        self._url = url.rstrip("/") + (PATH if bare else "")
        self._profile = profile
        self._caller = Caller(ca_file=ca_file, proxy=proxy, pair=pair)

    def issue(self, request_pem: bytes, *, validity_days: int) -> Issued:
        """See Issuer. The validity is the profile's."""
        del validity_days
        asked = {"certificate_request": request_pem.decode("ascii")}
        if self._profile:
            asked["profile"] = self._profile
        if self._key:
            request = json.dumps(asked).encode()
            body: dict[str, Any] = {
                "token": base64.b64encode(hmac.digest(self._key, request, hashlib.sha256)).decode("ascii"),
                "request": base64.b64encode(request).decode("ascii"),
            }
            url = f"{self._url}/authsign"
        else:
            body, url = asked, f"{self._url}/sign"
        result = _result(self._caller("POST", url, json=body), url)
        certificate = result.get("certificate") if isinstance(result, dict) else None
        if not isinstance(certificate, str):
            raise UnusableAnswer("the issuer's answer holds no certificate", hint="run it again; the key is kept")
        return Issued(certificate, "")

    def find(self, request_pem: bytes) -> Issued | None:
        """See Issuer. There is no list."""
        del request_pem
        return None

    def reach(self) -> str:
        """See Issuer."""
        url = f"{self._url}/info"
        _result(self._caller("POST", url, json={"label": "", "profile": self._profile}), url)
        return f"{url} answers"

    def settle(self, *, old_id: str, pair: tuple[str, str]) -> str:
        """See Issuer. It keeps no record of what it signs."""
        del old_id, pair
        return ""

    def close(self) -> None:
        """Close the connections."""
        self._caller.close()


def _result(answer: Reply, url: str) -> Any:
    """What the envelope holds; it comes as text/plain when it tells of an error."""
    try:
        envelope = answer.json()
    except (ValueError, RecursionError):
        envelope = None
    if answer.status_code == 200 and isinstance(envelope, dict) and envelope.get("success"):
        return envelope.get("result")
    raise _refusal(answer, envelope, url)


def _refusal(answer: Reply, envelope: Any, url: str) -> AgentError:
    said = words(answer)
    if isinstance(envelope, dict) and isinstance(envelope.get("errors"), list):
        pairs = [each for each in envelope["errors"] if isinstance(each, dict)]
        said = printable("; ".join(f"{each.get('code', '')} {each.get('message', '')}" for each in pairs), SAID)
    where = f"{url}: HTTP {answer.status_code}: {said or 'no reason given'}"
    passes = passing(answer.status_code, where, wait=retry_after(answer.headers.get("Retry-After")))
    if passes is not None:
        return passes
    if answer.status_code == 200:
        return UnusableAnswer(f"the issuer's answer is no success: {where}", hint="is enroll.url cfssl's?")
    if answer.status_code in {404, 405}:
        return ConfigError(f"enroll.url: {where}", hint="set enroll.url to where cfssl serve listens")
    if "authentication" in said or "invalid token" in said or answer.status_code in {401, 403}:
        return Refused(f"the token was refused: {where}", hint="the token is the profile's key in hex")
    return Refused(f"the request was refused: {where}", hint='check enroll.profile; or set enroll.key_type = "rsa2048"')
