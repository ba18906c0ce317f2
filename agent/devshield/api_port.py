"""What the API's port answers: the zone's API, spoiled by the faults in force, and two switches of its own.

`POST /__fault {"shield": ["lost*1"], "api": ["429:5"]}` sets the faults of the sides it names, `POST /__token`
makes a one-time token. Cloudflare has neither, so they are for loopback only.
"""

import ipaddress
import json
import logging
import threading
from typing import Final

from agent.devshield.authority import Authority
from agent.devshield.exchange import Outcome, Request
from agent.devshield.faults import Faults, instead, is_kind, read_lists, spoil
from agent.devshield.reply import JSON, Reply, failure
from agent.devshield.request_target import path_and_query
from agent.devshield.routes import Route, Routes
from agent.devshield.tokens import Tokens
from agent.devshield.zone_api import ZoneApi
from agent.errors import ConfigError
from agent.pem import new_key, signing_request

log = logging.getLogger(__name__)

FAULT_PATH: Final = "/__fault"
TOKEN_PATH: Final = "/__token"  # noqa: S105 - a path
ROUTES: Final = Routes({FAULT_PATH: ("POST",), TOKEN_PATH: ("POST",)})


class ApiPort:
    """Answers requests; `stop` ends a slow fault. For any thread."""

    def __init__(
        self, *, api: ZoneApi, authority: Authority, tokens: Tokens, faults: Faults, stop: threading.Event
    ) -> None:
        self._api = api
        self._authority = authority
        self._tokens = tokens
        self._faults = faults
        self._stop = stop

    def __call__(self, request: Request) -> Outcome:
        """What becomes of one request."""
        if route := ROUTES.find(path_and_query(request.target)[0]):
            return Outcome(self._switch(request, route))
        reply = self._answer(request)
        log.debug("API request", extra={"METHOD": request.method, "HTTP_STATUS": reply.status if reply else None})
        return Outcome(reply)

    def _answer(self, request: Request) -> Reply | None:
        fault = self._faults.take("api", post=request.method == "POST")
        if fault is not None and fault.kind == "slow":
            self._stop.wait(fault.argument or 1.0)
        if is_kind(fault, "drop"):
            return None
        if (reply := instead(fault)) is not None:
            return reply
        reply = self._api.answer(request.method, request.target, request.headers, request.body)
        return None if is_kind(fault, "lost") else spoil(fault, reply, other_certificate=self._certificate_for_nobody)

    def _switch(self, request: Request, route: Route) -> Reply:
        """The two paths that Cloudflare does not have, for the machine that the shield runs on."""
        if not ipaddress.ip_address(request.address).is_loopback:
            return failure(403, 10000, "for loopback only")
        if refusal := route.refusal(request.method):
            return refusal
        if route.path == TOKEN_PATH:
            return Reply(200, JSON, json.dumps({"token": self._tokens.new_one_time()}).encode())
        try:
            for side, faults in read_lists(request.body).items():
                self._faults.put(side, faults)
        except ConfigError as error:
            return failure(400, 1400, f"{error} (synthetic)")
        return Reply(200, JSON, request.body)

    def _certificate_for_nobody(self) -> str:
        stranger = signing_request(new_key("p256"), name="somebody-else", subject={})
        return self._authority.sign(stranger).decode()
