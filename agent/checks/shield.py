"""The shield: what it says to this device, and to one without a certificate, whom it must refuse.

A GET stores nothing, and neither does a POST of `{}`: it is no reading, so the API behind a missing rule refuses it.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from agent.checks.finding import Check, fail, ok, warn
from agent.delivery import Answer, Verdict
from agent.errors import ENROLL
from agent.record import dataclass
from agent.uplink import Target, Uplink

_RAY: Final = re.compile(r"CF-Ray [\w-]+|[0-9a-f]{8,}")  # differs from answer to answer
_TAG: Final = re.compile(r"<[^>]*>?")
_ABOUT_US: Final = ("certificate", "mtls")
_PAGE: Final = ("<html", "<!doctype")
PROXY: Final = 407  # Proxy Authentication Required: the shield was not asked
NOT_NOW: Final = "it passes by itself; if it stays: sensor-agent check again, and ask the shield's owner"


@dataclass(frozen=True, slots=True)
class Asked:
    """What came back: to a GET and to a POST without a certificate, and to a GET with this device's."""

    bare_get: Answer
    bare_post: Answer
    shown: Answer | None


def ask(where: Target, pair: tuple[str, str] | None) -> Asked:
    """Put the three questions."""
    bare = Uplink(where, None)
    bare_get = bare.get()
    bare_post = bare.post(b"{}", key="check")
    bare.close()
    return Asked(bare_get, bare_post, pair and _get(where, pair))


def verdict(where: Target, pair: tuple[str, str], url: str) -> tuple[str, Check]:
    """The line about this device alone, and what it means for the pair: `active`, `rejected`, or `unknown`."""
    shown = _get(where, pair)
    refused = shown.verdict is Verdict.HOLD
    line = _device(shown, _get(where, None) if refused else shown, url)
    if refused and shown.status != PROXY:
        return "rejected", line
    away = line.result == "fail" or shown.status is None or shown.verdict is Verdict.RETRY
    return "unknown" if away else "active", line


def _get(where: Target, pair: tuple[str, str] | None) -> Answer:
    uplink = Uplink(where, pair)
    answer = uplink.get()
    uplink.close()
    return answer


def shield(asked: Asked, url: str) -> Iterator[Check]:
    """The line about the rule, and the one about this device."""
    yield _rule(asked, url)
    if asked.shown is not None:
        yield _device(asked.shown, asked.bare_get, url)


def _rule(asked: Asked, url: str) -> Check:
    answers = {"GET": asked.bare_get, "POST": asked.bare_post}
    passed = [each for each in answers.values() if each.verdict is not Verdict.HOLD]
    vague = [each for each in passed if each.verdict is Verdict.RETRY or _is_not_the_api(each)]
    if vague:
        return warn("rule", f"could not be tried: {vague[0].detail}", NOT_NOW)
    let_in = [f"{method} ({each.detail[:60]})" for method, each in answers.items() if each.verdict is not Verdict.HOLD]
    if not let_in:
        status = asked.bare_post.status
        return ok("rule", f"without a certificate it refuses ({f'HTTP {status}' if status else 'TLS'})")
    saw = f"takes requests without a certificate: {', '.join(let_in)}; mTLS or its rule is not there"
    host = urlsplit(url).hostname
    return warn("rule", saw, f"sensor-agent shield setup --host {host} --zone ZONE --token-file F # its owner")


def _is_not_the_api(answer: Answer) -> bool:
    """No answer, a portal's page, or a redirect: that lets nobody in."""
    return answer.status is None or 300 <= answer.status < 400 or _is_page(answer)


def _is_page(answer: Answer) -> bool:
    return any(mark in answer.detail.lower() for mark in _PAGE)


def _device(shown: Answer, bare: Answer, url: str) -> Check:
    name, status = "shield", shown.status
    if shown.verdict is Verdict.HOLD:
        return _refused(shown, bare)
    page = _is_page(shown)
    if status is not None and status < 300 and not page:
        return ok(name, f"{url} takes this device's certificate (HTTP {status} to a GET)")
    if page and status is not None and status < 500:
        return fail(name, f"a web page answers: {shown.detail}", f"is uplink.url right? curl -v {url}")
    if status is not None and 300 <= status < 400:
        return fail(name, f"it sends us elsewhere: {shown.detail}", f"correct uplink.url; curl -v {url}")
    if status is None or shown.verdict is Verdict.RETRY:
        return warn(name, f"it cannot answer now: {shown.detail}", NOT_NOW)
    return warn(
        name, f"a GET is answered with {shown.detail}", "readings may pass all the same: sensor-agent run --once"
    )


def _refused(shown: Answer, bare: Answer) -> Check:
    """The same answer as without a certificate: ours does not count, or nobody's would. Another one: it was looked at."""
    name, says = "shield", " ".join(_TAG.sub(" ", shown.detail).split())
    again = f"CF-Ray in the zone's security events says why; for another certificate: {ENROLL} --force"
    if shown.status is None:
        saw = f"it ends TLS over this device's certificate ({says}): revoked, expired, or of an authority unknown to it"
        return fail(name, saw, f"{ENROLL} --force # with a token")
    if shown.status == PROXY:
        return fail(name, f"the proxy wants a password: {says}", "a proxy without one: uplink.proxy")
    if bare.verdict is Verdict.HOLD and _RAY.sub("", shown.detail) == _RAY.sub("", bare.detail):
        saw = (
            "it refuses this device as one without a certificate: revoked, of another zone, not on its list; or a rule"
        )
        return fail(name, f"{saw} bars this address: {says}", again)
    if any(word in says.lower() for word in _ABOUT_US):
        return fail(name, f"it knows this certificate and refuses it, revoked or not on its list: {says}", again)
    saw = f"it refuses this device by a rule that is not about certificates (bots, country, rate): {says}"
    return fail(name, saw, "look the CF-Ray up in the zone's security events, and let the device's path pass there")
