"""Which state comes after which, as a table: what an operator has said no to stays so, whatever happens to it."""

from dataclasses import replace
from typing import Final, get_args

import pytest

from agent.devshield.authority import Authority
from agent.devshield.registration.admission import Application, Forbidden, admit
from agent.devshield.registration.policy import Applicant, Policy
from agent.devshield.registration.records import Entry, Signed, State
from agent.devshield.registration.transitions import certified, moved, seen

STATES: Final[tuple[State, ...]] = get_args(State)
NAME: Final = "sensor-1.example.com"
# what becomes of a state: when an operator approves, refuses, revokes; when the signer is asked, a successor comes
MOVES: Final[dict[State, dict[State, State]]] = {
    "admitted": {"waiting": "admitted"},
    "refused": {"waiting": "refused"},
    "revoked": {"admitted": "revoked", "asked": "revoked", "issued": "revoked", "revoked": "revoked"},
    "asked": {"admitted": "asked", "asked": "asked"},
    "replaced": {"issued": "replaced"},
}


def entry(state: State) -> Entry:
    return Entry("aa" * 32, NAME, state, "", 0.0)


@pytest.fixture
def signed(authority: Authority) -> Signed:
    return Signed(authority.issue_server([NAME])[1].decode(), "id-1")


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("to", MOVES)
def test_a_state_goes_where_the_table_says_and_nowhere_else(before: State, to: State) -> None:
    after = moved(entry(before), to)

    assert (after and after.state) == MOVES[to].get(before)
    assert after is None or after == replace(entry(before), state=after.state)


@pytest.mark.parametrize("before", STATES)
def test_a_signed_certificate_is_in_force_only_where_it_is_still_asked_for(before: State, signed: Signed) -> None:
    after = certified(entry(before), signed)

    assert after.state == ("issued" if before == "asked" else before)
    assert (after.certificate, after.issuer_id) == (signed.certificate, "id-1")  # so that it can be revoked


@pytest.mark.parametrize("before", STATES)
def test_a_second_certificate_takes_no_place_of_the_first(before: State, signed: Signed) -> None:
    first = replace(entry(before), certificate="first", issuer_id="id-0")

    assert certified(first, signed) == first


@pytest.mark.parametrize("before", STATES)
def test_only_a_certificate_in_force_is_seen(before: State) -> None:
    after = seen(entry(before))

    assert after == (replace(entry("issued"), seen=True) if before == "issued" else None)


@pytest.mark.parametrize("known", [None, *STATES])
@pytest.mark.parametrize("old", STATES)
def test_a_certificate_renews_while_it_is_in_force_and_fetches_its_successor_when_it_was_replaced(
    old: State, known: State | None
) -> None:
    asked = Application(
        Applicant(NAME, "bb" * 32, ""),
        known and Entry("bb" * 32, NAME, known, "", 1.0, replaces="aa" * 32),
    )
    fetches = {"issued": (None, "waiting", "admitted", "asked", "issued"), "replaced": ("issued",)}.get(old, ())
    try:
        admit(entry(old), asked, Policy(()), approve=False, now=2.0)
        answered = True
    except Forbidden:
        answered = False

    assert answered == (known in fetches)
