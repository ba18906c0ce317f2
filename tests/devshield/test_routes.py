"""Which route a path is, and what a method that it does not take gets."""

import pytest

from agent.devshield.routes import Routes

ROUTES = Routes({
    "/things": ("GET", "POST"),
    "/things/all": ("GET",),
    "/things/{id}": ("GET", "DELETE"),
    "/things/{id}/parts/{part}": ("PATCH",),
})  # fmt: skip


@pytest.mark.parametrize(
    ("path", "route", "names"),
    [
        ("/things", "/things", {}),
        ("/things/", "/things", {}),
        ("/things/all", "/things/all", {}),
        ("/things/7", "/things/{id}", {"id": "7"}),
        ("/things/%2F é\x00/", "/things/{id}", {"id": "%2F é\x00"}),
        ("/things/7/parts/8", "/things/{id}/parts/{part}", {"id": "7", "part": "8"}),
    ],
)
def test_path_is_the_first_route_that_fits(path: str, route: str, names: dict[str, str]) -> None:
    found = ROUTES.find(path)
    assert found is not None
    assert (found.path, found.names) == (route, names)


@pytest.mark.parametrize("path", ["", "/", "/thing", "/things//", "/things/7/parts", "/x/things", "/things\n"])
def test_other_paths_are_none(path: str) -> None:
    assert ROUTES.find(path) is None


def test_method_that_is_not_taken_is_told_which_are() -> None:
    found = ROUTES.find("/things/7")
    assert found is not None
    assert found.refusal("DELETE") is None
    refusal = found.refusal("PUT")
    assert refusal is not None
    assert (refusal.status, refusal.headers) == (405, (("Allow", "GET, DELETE"),))
