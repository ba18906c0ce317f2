"""The client-certificates API: a zone's, and in the shape that a registration authority offers it to devices.

Codes and messages are those that other clients have met; texts that nobody published end in `(synthetic)`.
Requests come in as values and answers go out as values, so all of it can be tested without a socket.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from agent.devshield import request_json
from agent.devshield.csr import signable
from agent.devshield.issued import STATUSES, Issue, Issued, token_name
from agent.devshield.reply import Reply, envelope, failure
from agent.devshield.request_target import path_and_query
from agent.devshield.routes import Route, Routes
from agent.devshield.tokens import Tokens

ZONE_ID: Final = "de50000000000000000000000000d1e5"  # constant, so that a configuration survives a new directory
PREFIX: Final = "/client/v4"
PER_PAGE: Final = 20
ZONES: Final = PREFIX + "/zones/{zone}"
ROUTES: Final = Routes({
    ZONES + "/client_certificates": ("GET", "POST"),
    ZONES + "/client_certificates/{id}": ("GET", "PATCH", "DELETE"),
    PREFIX + "/client_certificates": ("GET", "POST"),
    PREFIX + "/client_certificates/{id}": ("GET",),
})  # fmt: skip
_BEARER: Final = re.compile(r"Bearer ([A-Za-z0-9_-]{20,})")


class CertificatesApi:
    """Answers requests; `now` gives UNIX seconds. For any thread."""

    def __init__(self, issued: Issued, tokens: Tokens, *, now: Callable[[], float]) -> None:
        self._issued = issued
        self._tokens = tokens
        self._now = now

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer to one request; `target` is path and query, header names are in lower case."""
        path, query = path_and_query(target)
        route = ROUTES.find(path)
        if route is None:
            return failure(404, 7000, "No route for that URI")
        token = bearer(headers)
        if isinstance(token, Reply):
            return token
        identifier = route.names.get("id")
        if "zone" not in route.names:
            return self._for_device(method, route, token, body)
        if refusal := not_for(self._tokens, token, route, path) or route.refusal(method):
            return refusal
        if identifier is None:
            return self._collection(method, parse_qs(query), body)
        issue = self._issued.find(identifier)
        if issue is None:
            return failure(404, 1415, "Invalid Certificate ID")
        return self._single(method, issue, body)

    def _for_device(self, method: str, route: Route, token: str, body: bytes) -> Reply:
        """A registration authority: a one-time token buys one certificate, and sees no others."""
        owner = token_name(token)
        own = [issue for issue in self._issued.all() if issue.owner == owner]
        if not own and not self._tokens.is_unspent(token):
            return failure(403, 10000, "Authentication error")
        if refusal := route.refusal(method):
            return refusal
        if method == "POST":
            wanted = _wanted(body)
            if isinstance(wanted, Reply):
                return wanted
            if not self._tokens.spend(token):
                return failure(403, 10000, "Authentication error: the token is spent (synthetic)")
            return self._issue(*wanted, owner=owner)
        identifier = route.names.get("id")
        if identifier is None:
            return self._page(own, {})
        found = [issue for issue in own if issue.fields["id"] == identifier]
        return envelope(found[0].result(self._now())) if found else failure(404, 1415, "Invalid Certificate ID")

    def _collection(self, method: str, query: Mapping[str, list[str]], body: bytes) -> Reply:
        if method == "POST":
            wanted = _wanted(body)
            return wanted if isinstance(wanted, Reply) else self._issue(*wanted)
        status = query.get("status", ["all"])[0]
        if status not in {"all", *STATUSES}:
            return failure(400, 1400, f"status: no such status (got {status}) (synthetic)")
        now = self._now()
        return self._page([issue for issue in self._issued.all() if status in {"all", issue.status(now)}], query)

    def _page(self, issues: list[Issue], query: Mapping[str, list[str]]) -> Reply:
        try:
            number, size = int(query.get("page", ["1"])[0]), int(query.get("per_page", [str(PER_PAGE)])[0])
        except ValueError:
            number, size = 0, 0
        if number < 1 or not 1 <= size <= 1000:
            return failure(400, 1400, "page, per_page: out of range (synthetic)")
        shown = [issue.result(self._now()) for issue in issues[(number - 1) * size : number * size]]
        info = {
            "page": number,
            "per_page": size,
            "count": len(shown),
            "total_count": len(issues),
            "total_pages": -(-len(issues) // size),
        }
        return envelope(shown, info=info)

    def _issue(self, csr: str, validity_days: int, *, owner: str = "") -> Reply:
        issue = self._issued.issue(csr.encode("ascii"), validity_days=validity_days, owner=owner)
        return envelope(issue.result(self._now()))

    def _single(self, method: str, issue: Issue, body: bytes) -> Reply:
        identifier = issue.fields["id"]
        match method:
            case "GET":
                return envelope(issue.result(self._now()))
            case "DELETE":
                if issue.revoked:
                    return failure(400, 1407, "Certificate has already been deleted")
                return envelope(self._issued.set_revoked(identifier, revoked=True).result(self._now()))
            case _:
                if _json(body) != {"reactivate": True}:
                    return failure(400, 1400, 'body: must be {"reactivate": true} (synthetic)')
                if issue.revoked:
                    issue = self._issued.set_revoked(identifier, revoked=False)
                return envelope(issue.result(self._now()))


def bearer(headers: Mapping[str, str]) -> str | Reply:
    """The token of the request, or the refusal of a request that shows none."""
    authorization = headers.get("authorization")
    if authorization is None and "x-auth-key" in headers:
        # the classic mistake: an API token given where the global key belongs
        return failure(400, 6003, "Invalid request headers", chain=(6103, "Invalid format for X-Auth-Key header"))
    if authorization is None:
        return failure(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
    found = _BEARER.fullmatch(authorization)
    if found is None:
        return failure(400, 6003, "Invalid request headers", chain=(6111, "Invalid format for Authorization header"))
    return found[1]


def not_for(tokens: Tokens, token: str, route: Route, path: str) -> Reply | None:
    """The refusal of a request to a zone that is another, or not the token's."""
    if not tokens.is_zone(token):
        return failure(403, 10000, "Authentication error")
    if route.names["zone"] != ZONE_ID:
        return failure(404, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?")
    return None


def _wanted(body: bytes) -> tuple[str, int] | Reply:
    """Request and validity in days of a POST, or the refusal of one that has no such pair."""
    fields = _json(body)
    if not isinstance(fields, dict):
        return failure(400, 6007, "Malformed JSON in request body")
    csr, days = fields.get("csr"), fields.get("validity_days")
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= 5475:
        return failure(400, 1400, "validity_days: must be between 1 and 5475 (synthetic)")
    if isinstance(csr, str) and signable(csr):
        return csr, days
    return failure(400, 1400, "csr: is not a certificate request (synthetic)")


def _json(body: bytes) -> Any:
    try:
        return request_json.read(body)
    except ValueError:
        return None
