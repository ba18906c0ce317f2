"""What must be true of a zone before its shield is one: mTLS on for the host, and a rule that blocks who is not verified.

The plan is a value that says what is there and what will be; putting it in force touches no host and no rule
but its own. Cloudflare's template rule lets a revoked certificate in, so this one tests for that, too.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from agent.devshield.zone_client import NotThere, ZoneClient
from agent.errors import AgentError, UnusableAnswer

HOSTS: Final = "/certificate_authorities/hostname_associations"
PHASE: Final = "http_request_firewall_custom"
ENTRY: Final = f"/rulesets/phases/{PHASE}/entrypoint"
NOT_SENT: Final = ("id", "version", "last_updated")
Change = Literal["none", "create", "update"]
Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What will change. `ruleset_id` is None where the zone has no custom rules yet; `rule` is the one wanted."""

    hosts: tuple[str, ...]
    hosts_after: tuple[str, ...]
    change: Change
    rule: Rule
    rule_before: Rule | None = None
    ruleset_id: str | None = None

    @property
    def changes(self) -> bool:
        """Whether anything is left to do."""
        return self.change != "none" or self.hosts != self.hosts_after


def wanted(host: str) -> Rule:
    """The rule for a host. The description is what it is found by again, so it must not change."""
    return {
        "description": f"sensor-agent: client certificates for {host}",
        "expression": (
            f'(http.host eq "{host}" and (not cf.tls_client_auth.cert_verified or cf.tls_client_auth.cert_revoked))'
        ),
        "action": "block",
        "enabled": True,
    }


def plan(host: str, hosts: list[str], ruleset: dict[str, Any] | None) -> Plan:
    """What it takes, from the hosts that have mTLS on and the entry point of the custom rules, None if there is none."""
    rule = wanted(host)
    after = tuple(hosts) if host in hosts else (*hosts, host)
    if ruleset is None:
        return Plan(tuple(hosts), after, "create", rule)
    rules = ruleset.get("rules") or []
    own = next((each for each in rules if each.get("description") == rule["description"]), None)
    if own is None:
        return Plan(tuple(hosts), after, "create", rule, ruleset_id=ruleset["id"])
    same = all(own.get(key) == value for key, value in rule.items())
    return Plan(tuple(hosts), after, "none" if same else "update", rule, own, ruleset["id"])


def look(client: ZoneClient, host: str) -> Plan:
    """The plan for the zone as it is now. Raises AgentError."""
    found = client.call("GET", HOSTS)
    hosts = (found["hostnames"] or []) if isinstance(found, dict) and "hostnames" in found else None
    if not isinstance(hosts, list) or not all(isinstance(each, str) for each in hosts):
        raise _unusable(HOSTS, "list of host names")
    try:
        ruleset = client.call("GET", ENTRY)
    except NotThere:
        return plan(host, hosts, None)
    rules = (ruleset.get("rules") or []) if isinstance(ruleset, dict) else None
    if not isinstance(rules, list) or not all(_has_id(each) for each in (ruleset, *rules)):
        raise _unusable(ENTRY, "ruleset whose rules have an id")
    return plan(host, hosts, ruleset)


def _has_id(there: object) -> bool:
    return isinstance(there, dict) and isinstance(there.get("id"), str)


def _unusable(path: str, wanted_there: str) -> UnusableAnswer:
    return UnusableAnswer(
        f"GET {path}: no {wanted_there} in the answer",
        hint="is --api the zone's? then run shield setup again",
    )


def put_in_force(client: ZoneClient, wish: Plan) -> None:
    """Do what the plan says; the rule first, so that there is no moment with certificates asked for and not checked.

    Raises AgentError; run again, it goes on.
    """
    match wish.change:
        case "create" if wish.ruleset_id is None:
            ruleset = {"name": "default", "kind": "zone", "phase": PHASE, "rules": [wish.rule]}
            client.call("POST", "/rulesets", ruleset)
        case "create":
            # first: a `skip` of another rule before it would let everybody past it
            client.call("POST", f"/rulesets/{wish.ruleset_id}/rules", {**wish.rule, "position": {"index": 1}})
        case "update":
            assert wish.rule_before is not None  # noqa: S101 - that is what makes it an update
            # a PATCH replaces the rule whole: what an operator added to it, as a page of their own, stays
            kept = {key: value for key, value in wish.rule_before.items() if key not in NOT_SENT}
            client.call("PATCH", f"/rulesets/{wish.ruleset_id}/rules/{wish.rule_before['id']}", {**kept, **wish.rule})
        case "none":
            pass
    if wish.hosts_after != wish.hosts:
        client.call("PUT", HOSTS, {"hostnames": list(wish.hosts_after)})
    left = look(client, wish.rule["expression"].split('"')[1])
    missing = set(wish.hosts_after) - set(left.hosts)
    if left.changes or missing:
        raise AgentError(
            f"the zone is not as it was set: {', '.join(sorted(missing)) or left.change}",
            hint="somebody else may be changing it: run shield setup again, with --dry-run first",
        )
