"""The zone's API whole: certificates, the hosts that ask for them, and the custom firewall's rules.

Rulesets: the phase's entry point, and single rules within a ruleset, as far as an operator's tools use them. As
at Cloudflare the list of hosts is replaced by each PUT, a rule by each PATCH, and a change answers with the ruleset.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from agent.devshield import request_json
from agent.devshield.certificates_api import ZONES, CertificatesApi, bearer, not_for
from agent.devshield.reply import Reply, envelope, failure
from agent.devshield.request_target import path_and_query
from agent.devshield.routes import Routes
from agent.devshield.tokens import Tokens
from agent.devshield.zone_state import Fields, ZoneState, new_id

PHASE: Final = "http_request_firewall_custom"
_HOSTS: Final = ZONES + "/certificate_authorities/hostname_associations"
_ENTRY: Final = ZONES + f"/rulesets/phases/{PHASE}/entrypoint"
_RULESETS: Final = ZONES + "/rulesets"
_RULESET: Final = _RULESETS + "/{ruleset}"
ROUTES: Final = Routes({
    _HOSTS: ("GET", "PUT"),
    _ENTRY: ("GET", "PUT"),
    _RULESETS: ("GET", "POST"),
    _RULESET: ("GET",),
    _RULESET + "/rules": ("POST",),
    _RULESET + "/rules/{rule}": ("PATCH", "DELETE"),
})  # fmt: skip
_HOST: Final = re.compile(r"(\*\.)?([a-z0-9-]{1,63}\.)+[a-z]{2,63}")
_NO_ENTRY: Final = "could not find entrypoint ruleset in the " + PHASE + " phase"


class ZoneApi:
    """Answers requests; what is not the zone's own goes to the certificates API. For any thread."""

    def __init__(self, certificates: CertificatesApi, state: ZoneState, tokens: Tokens) -> None:
        self._certificates = certificates
        self._state = state
        self._tokens = tokens

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer to one request; `target` is path and query, header names are in lower case."""
        path, _ = path_and_query(target)
        route = ROUTES.find(path)
        if route is None:
            return self._certificates.answer(method, target, headers, body)
        token = bearer(headers)
        if isinstance(token, Reply):
            return token
        if refusal := not_for(self._tokens, token, route, path) or route.refusal(method):
            return refusal
        try:
            fields = {} if method in {"GET", "DELETE"} else request_json.read(body)
        except ValueError:
            return failure(400, 6007, "Malformed JSON in request body")
        if not isinstance(fields, dict):
            return failure(400, 6007, "Malformed JSON in request body")
        if route.path == _HOSTS:
            return self._hosts(method, fields)
        if route.path == _ENTRY:
            return self._entry(method, fields)
        if route.path == _RULESETS:
            return self._rulesets(method, fields)
        return self._rules(method, route.names["ruleset"], route.names.get("rule"), fields)

    def _hosts(self, method: str, fields: Fields) -> Reply:
        if method == "GET":
            return envelope({"hostnames": self._state.look()["hostnames"]})
        names = fields.get("hostnames")
        if not isinstance(names, list) or not all(isinstance(name, str) and _HOST.fullmatch(name) for name in names):
            return failure(400, 1400, "hostnames: must be a list of host names (synthetic)")
        with self._state.changing() as zone:
            zone["hostnames"] = list(dict.fromkeys(names))
        return envelope({"hostnames": zone["hostnames"]})

    def _entry(self, method: str, fields: Fields) -> Reply:
        """The phase's entry point; a PUT replaces all of its rules and makes it if need be."""
        if method == "GET":
            ruleset = _entry_point(self._state.look())
            return envelope(ruleset) if ruleset else failure(404, 10003, _NO_ENTRY)
        return self._replace({**fields, "name": fields.get("name", "default"), "phase": PHASE, "kind": "zone"})

    def _rulesets(self, method: str, fields: Fields) -> Reply:
        if method == "GET":
            shown = self._state.look()["rulesets"]
            return envelope([{key: each[key] for key in each if key != "rules"} for each in shown])
        if fields.get("phase") != PHASE or fields.get("kind") != "zone" or "name" not in fields:
            return failure(400, 20016, "kind, name, phase: not a zone's custom firewall (synthetic)")
        if _entry_point(self._state.look()):
            return failure(400, 20217, f"'zone' is not a valid value for kind: {PHASE} has one (synthetic)")
        return self._replace(fields)

    def _rules(self, method: str, ruleset_id: str, rule_id: str | None, fields: Fields) -> Reply:
        with self._state.changing() as zone:
            ruleset = _entry_point(zone)
            if ruleset is None or ruleset["id"] != ruleset_id:
                return failure(404, 10002, f"could not find ruleset {ruleset_id}")
            if method == "GET":
                return envelope(ruleset)
            changed = self._changed(method, ruleset["rules"], rule_id, fields)
            if isinstance(changed, Reply):
                return changed
            ruleset = self._state.stamp({**ruleset, "rules": changed}, version=int(ruleset["version"]) + 1)
            zone["rulesets"] = [ruleset]
        return envelope(ruleset)

    def _changed(self, method: str, rules: list[Fields], rule_id: str | None, fields: Fields) -> list[Fields] | Reply:
        """The rules after one was added, replaced, moved or deleted."""
        old = next((rule for rule in rules if rule["id"] == rule_id), None)
        if rule_id is not None and old is None:
            return failure(404, 10007, f"could not find rule {rule_id}")
        others = [rule for rule in rules if rule is not old]
        if method == "DELETE":
            return others
        position = fields.pop("position", {})
        index = position.get("index", 1) if isinstance(position, dict) else None
        if not isinstance(index, int) or isinstance(index, bool) or not 1 <= index <= len(rules) + 1:
            return failure(400, 20124, "position: must be {index: 1…} (synthetic)")
        rule = self._rule(fields, old)
        if isinstance(rule, Reply):
            return rule
        place = rules.index(old) if old else len(others)
        if "index" in position:
            place = index - 1
        return [*others[:place], rule, *others[place:]]

    def _rule(self, fields: Any, old: Fields | None = None) -> Fields | Reply:
        if (
            not isinstance(fields, dict)
            or not isinstance(fields.get("action"), str)
            or not isinstance(fields.get("expression"), str)
        ):
            return failure(400, 20120, "action, expression: both are needed (synthetic)")
        own = old["id"] if old else new_id()
        version = int(old["version"]) + 1 if old else 1
        return self._state.stamp({"ref": own, "enabled": True, **fields, "id": own}, version=version)

    def _replace(self, fields: Fields) -> Reply:
        if not isinstance(fields["name"], str):
            return failure(400, 20016, "name: must be a text (synthetic)")
        rules: list[Fields] = []
        wanted = fields.get("rules", [])
        for each in wanted if isinstance(wanted, list) else [wanted]:
            rule = self._rule(each)
            if isinstance(rule, Reply):
                return rule
            rules.append(rule)
        with self._state.changing() as zone:
            old = _entry_point(zone)
            made = {**fields, "id": old["id"] if old else new_id(), "rules": rules}
            zone["rulesets"] = [self._state.stamp(made, version=int(old["version"]) + 1 if old else 1)]
        return envelope(zone["rulesets"][0])


def _entry_point(zone: Fields) -> dict[str, Any] | None:
    return next(iter(zone["rulesets"]), None)
