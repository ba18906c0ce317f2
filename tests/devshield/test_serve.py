"""`sensor-agent shield serve` as a process."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from world.visitors import Pair, ask, connection

SERVE = [sys.executable, "-m", "agent", "shield", "serve"]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_where_it_is_and_ends_well_on_a_signal(home: Path, ending: signal.Signals) -> None:
    with subprocess.Popen([*SERVE, "--dir", str(home), "--json"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        where = json.loads(process.stdout.readline())
        process.send_signal(ending)
        assert (process.wait(timeout=10), process.stdout.read()) == (0, "")
    assert where["shield"] == f"https://127.0.0.1:{where['port']}/temps"
    assert where["api"] == f"https://127.0.0.1:{where['api_port']}/client/v4"
    assert Path(where["ca_file"]) == home / "ca.pem"
    assert Path(where["token_file"]).read_text().strip()


@pytest.mark.parametrize("api", ["tutorial", "extended"])
def test_serve_tells_a_person_that_it_is_not_cloudflare_and_what_to_paste(home: Path, api: str) -> None:
    command = [*SERVE, "--dir", str(home), "--api", api]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.terminate()
        rest = process.stdout.read()
    assert "not Cloudflare" in first
    assert f'ca_file = "{home}/ca.pem"' in rest
    assert ("the reader's page is at https://127.0.0.1:" in rest) == (api == "extended")


def test_help_says_that_it_is_not_cloudflare() -> None:
    done = subprocess.run([*SERVE, "--help"], capture_output=True, text=True, check=True)
    assert "not Cloudflare" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [(["--fault", "nonsense"], 78, "no such fault"), (["--rule", "loose"], 2, "invalid choice")],
)
def test_serve_refuses_what_it_does_not_know(home: Path, arguments: list[str], code: int, says: str) -> None:
    done = subprocess.run(
        [*SERVE, "--dir", str(home), *arguments], capture_output=True, text=True, check=False, timeout=20
    )
    assert (done.returncode, says in done.stderr) == (code, True)


def test_serve_takes_rule_and_faults_from_the_command_line(home: Path, device: Pair) -> None:
    command = [*SERVE, "--dir", str(home), "--json", "--rule", "strict", "--fault", "503*1", "--kv-limit"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        where = json.loads(process.stdout.readline())
        to = connection(where["ca_file"], where["port"], device)
        got = [ask(to) for _ in range(2)]
        to.close()
        process.terminate()
    assert where["rule"] == "strict"
    assert [(each.status, each.body[:13]) for each in got] == [(503, b"error code: 5"), (500, b"Error: KV PUT")]
