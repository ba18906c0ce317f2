"""The registration authority, fuzzed by schemathesis as each of its callers: no fault, and no certificate of another's.

A newcomer has a token, one that waits for approval another, a device that renews its certificate. The requests are odd
ones, those of other keys under the names of others among them.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from interop.fuzzing import Exchange, fuzz, never_well, no_complaint, settings
from world.fleet import call, request_for
from world.odd_requests import NAME, odd_requests
from world.visitors import Pair, put

from agent.certificate import parse
from agent.devshield.certificates_api import PREFIX
from agent.devshield.registration.office import RegistrationAuthority, Setup
from agent.devshield.registration.policy import Policy

LATER = 4e9
OTHER = "sensor-007.devices.example.com"
UNTOLD = ("positive_data_acceptance",)  # no description says what is in a PEM
NO_401 = ("ignored_auth", "missing_required_header")  # as Cloudflare it answers 400 to a request that shows nothing
Seen = tuple[list[Exchange], list[bytes]]  # what went to and fro, and what of another's is in no answer
Run = Callable[[Path], Seen]


def enrolled(office: RegistrationAuthority, name: str, directory: Path) -> Pair:
    """A device that has its certificate."""
    key, request = request_for(name)
    token = office.ledger.new_token(expires=LATER, admitted=True)
    answer = call(office, "POST", request, token=token)
    assert answer.status == 200
    directory.mkdir()
    return put(directory, "device", json.loads(answer.body)["result"]["certificate"].encode(), key)


def fuzzed(directory: Path, *, approve: bool, by_certificate: bool) -> Seen:
    """An authority with somebody else's certificate, fuzzed by a caller of its own."""
    with RegistrationAuthority(
        Setup(directory / "office", Policy(("sensor-*.devices.example.com",)), approve=approve)
    ) as office:
        others = parse(enrolled(office, OTHER, directory / "other")[0].read_bytes())
        requests = [text for text in odd_requests().values() if text.isascii()]
        requests += [request_for(name)[1].decode() for name in (OTHER, NAME, NAME)]
        if by_certificate:
            own = enrolled(office, NAME, directory / "own")
            shown, tokens = [f"--request-cert={own[0]}", f"--request-cert-key={own[1]}"], {}
        else:
            shown, tokens = [], {PREFIX: office.ledger.new_token(expires=LATER)}
        seen = fuzz(
            directory / "run",
            "authority.yaml",
            f"https://127.0.0.1:{office.port}",
            f"--tls-verify={office.where['ca_file']}",
            *shown,
            settings=settings({"body.csr": requests}, tokens),
            without=(*UNTOLD, *NO_401),
        )
    return seen, [others.fingerprint_sha256.encode(), others.serial.encode()]


def newcomer(directory: Path) -> Seen:
    """With a token."""
    return fuzzed(directory, approve=False, by_certificate=False)


def waiting(directory: Path) -> Seen:
    """With a token that a person has to approve."""
    return fuzzed(directory, approve=True, by_certificate=False)


def renewing(directory: Path) -> Seen:
    """With a certificate."""
    return fuzzed(directory, approve=False, by_certificate=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Run, Future[Seen]]]:
    """All of them, begun; two go at a time."""
    with no_complaint(), ThreadPoolExecutor(2) as pool:
        yield {run: pool.submit(run, tmp_path_factory.mktemp(run.__name__)) for run in (newcomer, waiting, renewing)}


@pytest.mark.parametrize(("run", "well"), [(newcomer, 200), (waiting, 202), (renewing, 200)])
def test_every_answer_is_as_described_and_no_caller_sees_anothers_certificate(
    run: Run, well: int, runs: dict[Run, Future[Seen]]
) -> None:
    exchanges, others = runs[run].result()
    print(f"{run.__name__}: {len(exchanges)} requests, {dict(Counter(each.status for each in exchanges))}")
    assert {each.status for each in exchanges if each.method == "POST"} >= {well, 400}
    assert not never_well(exchanges, "authority.yaml")
    assert not [each for each in exchanges for text in others if text in each.body]
