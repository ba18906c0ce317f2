"""Every route of the zone, by the table of routes: who does not show the zone's token gets nothing there."""

import time
from pathlib import Path

import pytest

from agent.devshield import certificates_api, zone_api
from agent.devshield.authority import Authority
from agent.devshield.certificates_api import ZONE_ID, CertificatesApi
from agent.devshield.issued import Issued
from agent.devshield.tokens import Tokens
from agent.devshield.zone_api import ZoneApi
from agent.devshield.zone_state import ZoneState

TABLES = (certificates_api.ROUTES.table, zone_api.ROUTES.table)
OF_THE_ZONE = [
    (method, path) for table in TABLES for path in table if "{zone}" in path for method in (*table[path], "TRACE")
]


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path)


@pytest.fixture
def api(tmp_path: Path, authority: Authority, tokens: Tokens) -> ZoneApi:
    issued = Issued(tmp_path / "certificates", authority, now=time.time)
    return ZoneApi(CertificatesApi(issued, tokens, now=time.time), ZoneState(tmp_path, now=time.time), tokens)


@pytest.mark.parametrize(("method", "path"), OF_THE_ZONE)
def test_route_is_closed_to_who_has_no_token_of_the_zone(
    method: str, path: str, api: ZoneApi, tokens: Tokens, tmp_path: Path
) -> None:
    target = path.replace("{zone}", ZONE_ID).replace("{", "").replace("}", "")
    spent = tokens.new_one_time()
    assert tokens.spend(spent)
    shown = [{"authorization": f"Bearer {token}"} for token in (tokens.new_one_time(), spent, "x" * 40)]

    answers = [api.answer(method, target, headers, b'{"hostnames": [], "rules": []}') for headers in (*shown, {})]

    assert [answer.status for answer in answers] == [403, 403, 403, 400]
    assert not (tmp_path / "zone.json").exists()
