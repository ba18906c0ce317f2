"""The OpenAPI descriptions in packaging/shield say what is served, no route more and none less."""

from collections.abc import Mapping

import pytest
from world.descriptions import METHODS, described
from world.visitors import Pair, ask, connect

from agent.devshield import api_port, certificates_api, extended_api, zone_api
from agent.devshield.registration import desk
from agent.devshield.shield import Shield

Routes = dict[str, set[str]]


def table(*tables: Mapping[str, tuple[str, ...]]) -> Routes:
    """The same of the code."""
    return {path: set(methods) for each in tables for path, methods in each.items()}


@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("zone.yaml", table(zone_api.ROUTES.table, certificates_api.ROUTES.table, api_port.ROUTES.table)),
        ("authority.yaml", table(desk.ROUTES.table)),
        ("openapi.yaml", table({path: (*took, "HEAD", "OPTIONS") for path, took in extended_api.METHODS.items()})),
    ],
)
def test_description_has_every_route_of_the_code_and_no_other(name: str, served: Routes) -> None:
    assert described(name) == served


def test_tutorials_worker_answers_every_method_and_path_as_its_description_has_it(shield: Shield, device: Pair) -> None:
    routes = described("tutorial.yaml")
    assert routes == {"/temps": METHODS, "/{path}": {"GET", "POST"}}
    to = connect(shield, device)
    for path, methods in routes.items():
        for method in methods:
            expected = 201 if method == "POST" else 200
            assert ask(to, method, path=path.replace("{path}", "any/where?x=1")).status == expected
    to.close()
