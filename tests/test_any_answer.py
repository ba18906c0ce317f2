"""Whatever an issuer or the shield answers, and whatever stands in a configuration: an error of ours or none, no crash."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_issuer_traps import ISSUERS, REQUEST, made
from world.identities import authority
from world.server import Server, raw, serving

from agent.config import load
from agent.delivery import Verdict
from agent.errors import AgentError, ConfigError
from agent.uplink import Target, Uplink

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
CHECKED = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
DEEP = b"[" * 60_000
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["result", "errors", "code", "message", "success", "certificate", "csr", "results", "status"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
BODIES = st.binary(max_size=40) | VALUES.map(lambda value: json.dumps(value).encode()) | st.just(DEEP)
FIELDS = st.sampled_from(
    [
        "Content-Type: text/html; charset=idna",
        "Content-Type: application/json",
        "Retry-After: 9999999999",
        "Retry-After: ²",
        "Retry-After: Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
        "Content-Encoding: gzip",
        "Transfer-Encoding: chunked",
        "Location: http://[",
        "Sensor-Batch: 9999999",
        "X: \x00é",
        "Retry-After: Mon, 01 Jan 0001 00:00:00 +9999",
        "Accept-Encoding: gzip, \x00",
        "Sensor-Batch: -1",
        " folded",
        ":",
    ]
)
STATUSES = st.sampled_from([100, 200, 201, 202, 204, 207, 302, 400, 403, 404, 415, 429, 500, 503, 999])


def answered(status: int, fields: list[str], body: bytes) -> bytes:
    """An answer as it goes over the wire."""
    head = "".join(f"{field}\r\n" for field in [f"Content-Length: {len(body)}", *fields])
    return f"HTTP/1.1 {status} Word\r\n{head}\r\n".encode("latin-1") + body


ANSWERS = st.binary(max_size=60) | st.builds(answered, STATUSES, st.lists(FIELDS, max_size=3), BODIES)


class Saying:
    """What the server says to the next request."""

    said = b""


@pytest.fixture(scope="module")
def other_end() -> Iterator[tuple[Server, Saying]]:
    """A server that says whatever it is told to, and ends the connection."""
    saying = Saying()

    def step(sock: socket.socket, server: Server) -> bool:
        return raw(saying.said)(sock, server)

    with TemporaryDirectory() as scratch, serving(Path(scratch), step) as server:
        yield server, saying


@CHECKED
@given(name=st.sampled_from(ISSUERS), said=ANSWERS)
@example(name="cloudflare", said=answered(200, ["Content-Type: application/json"], DEEP))
@example(name="cloudflare", said=answered(400, ["Content-Type: application/json"], DEEP))
@example(name="cloudflare", said=answered(400, [], b'{"errors":[{"code":1e999}]}'))
@example(name="cloudflare", said=answered(400, ["Content-Type: text/html; charset=idna"], b"no"))
@example(name="cfssl", said=answered(200, ["Content-Type: application/json"], DEEP))
@example(name="est", said=answered(500, ["Content-Type: text/html; charset=idna"], b"no"))
def test_whatever_an_issuer_answers_ends_in_an_error_with_its_exit_code(
    other_end: tuple[Server, Saying], name: str, said: bytes
) -> None:
    server, saying = other_end
    saying.said = said
    issuer = made(name, server.port, str(authority().certificate_file))
    try:
        issued = issuer.issue(REQUEST, validity_days=1)
    except AgentError as error:
        assert error.exit_code in {65, 75, 77, 78}  # noqa: PT017 - either way is right
    else:
        assert issued.certificate_text
    finally:
        issuer.close()


@CHECKED
@given(said=ANSWERS, batch=st.booleans())
@example(said=answered(207, [], b'{"results":[{"status":201}]}'), batch=True)
@example(said=answered(207, [], b'{"results":[{"status":201},{"status":201},{"status":201}]}'), batch=True)
@example(said=answered(207, [], b'{"results":' + DEEP), batch=True)
def test_whatever_the_shield_answers_only_its_own_word_acknowledges(
    other_end: tuple[Server, Saying], said: bytes, batch: bool
) -> None:
    server, saying = other_end
    saying.said = said
    uplink = Uplink(Target(server.url, str(authority().certificate_file), timeout_seconds=5.0), None)
    try:
        answer = uplink.post_batch([b'{"a": 1}', b'{"a": 2}'], gzip=False) if batch else uplink.post(b"{}", key="k")
    finally:
        uplink.close()
    if answer.verdict is Verdict.ACK:
        assert answer.status == (207 if batch else 201)
        assert len(answer.results) == (2 if batch else 0)


@CHECKED
@given(said=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
@example(said=b"x=" + b"[" * 5000)
@example(said=b"x=" + b"{a=" * 3000)
@example(said=b"x=" + b"9" * 5000)
@example(said=b'[uplink]\nurl="https://x"\nca_file="/\\u0000"')
@example(said=b'[uplink]\nurl="https://["')
@example(said=b"sensors=5\nuplink=[]")
def test_a_configuration_of_any_bytes_is_refused_with_78(said: bytes) -> None:
    with TemporaryDirectory() as scratch:
        file = Path(scratch, "config.toml")
        file.write_bytes(said)
        with pytest.raises(ConfigError) as raised:
            load(file)
    assert raised.value.exit_code == 78
    assert raised.value.hint
