"""One zone of Cloudflare's API as its operator's tools see it: a call gives the result, or says who must act.

The token goes to that one address only: no redirect is followed, and nothing is taken from the environment.
"""

from collections.abc import Mapping
from typing import Any, Final

import requests

from agent.config.sections import HTTPS
from agent.errors import AgentError, ConfigError, Refused, TryLater, UnusableAnswer

TIMEOUT: Final = (10.0, 60.0)  # seconds to connect, and between two bytes: the API is serialised per zone
TOKEN_CODES: Final = frozenset({6003, 6111, 9106, 9109, 10000})
ROUTE_CODES: Final = frozenset({7000, 7003})


class NotThere(ConfigError):
    """404 for something that may be missing, as a ruleset."""


class ZoneClient:
    """Calls below `{url}/zones/{zone_id}`. For any thread: each call has a connection of its own.

    Raises ConfigError for a URL that would not keep the token secret.
    """

    def __init__(self, *, url: str, zone_id: str, token: str, ca_file: str = "") -> None:
        if wrong := HTTPS(url):
            seen = f" (got {url!r})" if "@" not in url else ""  # there may be a password before it
            raise ConfigError(f"the zone's API: {wrong}{seen}", hint="as https://api.cloudflare.com/client/v4")
        self.zone_id: Final = zone_id
        self._zone = f"{url.rstrip('/')}/zones/{zone_id}"
        self._token = token
        self._verify: str | bool = ca_file or True

    def call(self, method: str, path: str, body: object = None, *, query: Mapping[str, str | int] | None = None) -> Any:
        """The `result` of one call. Raises TryLater, Refused, ConfigError (NotThere for 404) or UnusableAnswer."""
        url = f"{self._zone}{path}"
        with requests.Session() as session:
            session.trust_env = False  # else .netrc replaces the token and REQUESTS_CA_BUNDLE the CA
            session.verify = self._verify
            session.headers["Authorization"] = f"Bearer {self._token}"
            try:
                answer = session.request(
                    method, url, json=body, params=dict(query or {}), timeout=TIMEOUT, allow_redirects=False
                )
            except requests.exceptions.SSLError as error:
                raise ConfigError(
                    f"{url}: its certificate does not verify: {error}", hint="check the CA file"
                ) from error
            except requests.RequestException as error:
                raise TryLater(
                    f"{url} cannot be reached: {type(error).__name__}", hint="check network and DNS"
                ) from error
            except OSError as error:
                raise ConfigError(f"{self._verify}: {error.strerror or error}", hint="check the CA file") from error
            return _result(answer, f"{method} {url}")


def _result(answer: requests.Response, where: str) -> Any:
    try:
        envelope = answer.json()
        errors = [(int(error["code"]), str(error["message"])[:200]) for error in envelope["errors"]]
        success, result = envelope["success"], envelope["result"]
    except (ValueError, TypeError, KeyError):
        if answer.status_code >= 500 or answer.status_code == 429:
            raise TryLater(f"{where}: HTTP {answer.status_code}", hint="try again in five minutes") from None
        raise UnusableAnswer(f"{where}: HTTP {answer.status_code} and not the API's envelope") from None
    if answer.status_code == 200 and success:
        return result
    raise _refusal(answer.status_code, errors, where)


def _refusal(status: int, errors: list[tuple[int, str]], where: str) -> AgentError:
    said = f"{where}: HTTP {status}: " + ("; ".join(f"{code} {message}" for code, message in errors) or "no reason")
    codes = {code for code, _ in errors}
    if status >= 500 or status == 429:
        return TryLater(said, hint="try again in five minutes")
    if codes & TOKEN_CODES or status in {401, 403}:
        return Refused(
            said,
            hint="the token needs `SSL and Certificates: Edit` for the zone, and `Zone WAF: Edit` to set up a rule",
        )
    if status == 404 and not codes & ROUTE_CODES:
        return NotThere(said)
    if codes & ROUTE_CODES or status in {404, 405}:
        return ConfigError(said, hint="check the zone id and the API's URL")
    return Refused(said)
