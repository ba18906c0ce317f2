"""What the uplink costs before it is used: nothing; and what an HTTP library brings along without use stays out."""

import json
import os
import socket
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

from world.identities import authority
from world.server import Server, answer, hang, serving

from agent.delivery import Verdict
from agent.uplink import LateUplink, Target, Uplink

NEVER = ("chardet", "charset_normalizer", "idna", "cryptography", "tenacity", "click")
LATE = ("requests", "urllib3", "http.client", "ssl", "email.utils", "dataclasses", "inspect", "argparse", "gettext")


def modules_after(statement: str) -> set[str]:
    """Those that a fresh interpreter holds then; warnings are errors."""
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    code = f"import sys\n{statement}\nimport json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=paths, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_daemon_starts_without_what_only_a_post_needs() -> None:
    assert modules_after("from agent.cli import plain_run\nassert plain_run(['run'])").isdisjoint({*LATE, *NEVER})


def test_one_wire_brings_no_dataclasses_but_whoever_asks_has_them(tmp_path: Path) -> None:
    ask = f"from agent.sensors.onewire.library import discover\nfrom pathlib import Path\ndiscover(Path({str(tmp_path)!r}))\n"
    loaded = modules_after(ask)
    assert "w1thermsensor" in loaded
    assert loaded.isdisjoint({"dataclasses", "inspect"})

    library = find_spec("w1thermsensor")
    assert library is not None
    assert library.origin is not None
    if Path(library.origin).with_name("calibration_data.py").exists():  # not in Debian 12
        real = "from w1thermsensor.calibration_data import CalibrationData\nassert CalibrationData(2.0, 1.0, 3.0).reference_low_point == 0"
    else:
        real = "import sys\nassert 'w1thermsensor.calibration_data' not in sys.modules\nimport dataclasses"
    assert "dataclasses" in modules_after(ask + real)


def test_the_librarys_subprocess_is_the_real_one_when_it_is_used(tmp_path: Path) -> None:
    ask = f"from agent.sensors.onewire.library import discover\nfrom pathlib import Path\ndiscover(Path({str(tmp_path)!r}))\n"
    assert "subprocess" not in modules_after(ask)
    modules_after(
        ask + "import subprocess, w1thermsensor.core as core\n"
        "assert subprocess.__file__\n"
        "assert core.subprocess.run is subprocess.run\n"
    )


def test_the_uplink_brings_neither_requests_nor_what_a_version_is_looked_up_with() -> None:
    loaded = modules_after("from agent.uplink import Uplink")

    assert {"urllib3", "ssl"} <= loaded
    assert loaded.isdisjoint({"requests", "importlib.metadata", "zipfile", "shutil", *NEVER})


def test_a_request_to_a_name_brings_no_tables_of_names(tmp_path: Path) -> None:
    with serving(tmp_path, answer(201), names=["localhost"]) as server:
        loaded = modules_after(
            "from agent.uplink import Target, Uplink\n"
            f"line = Uplink(Target('https://localhost:{server.port}/', {str(authority().certificate_file)!r}, 5.0), None)\n"
            "answer = line.post(b'{}', key='k')\n"
            "assert answer.status == 201, answer\n"
        )
    assert loaded.isdisjoint({"encodings.idna", "stringprep"})


def test_whoever_asks_for_what_was_left_out_gets_the_real_one() -> None:
    modules_after(
        "from agent.uplink import Uplink\n"
        "import importlib.metadata\n"
        "assert importlib.metadata.__file__\n"
        "import urllib3, sys\n"
        "http2 = sys.modules.get('urllib3.http2')\n"
        "assert http2 is None or http2.version('urllib3') == importlib.metadata.version('urllib3')\n"
    )


def test_what_is_there_already_is_left_alone() -> None:
    modules_after(
        "import importlib.metadata as before\nfrom agent.uplink import Uplink\nimport importlib.metadata as now\n"
        "assert before is now\n"
    )


def late(url: str, made: list[str]) -> LateUplink:
    def make() -> Uplink:
        made.append(url)
        return Uplink(Target(url, str(authority().certificate_file), 5.0), None)

    return LateUplink(make)


def test_the_first_request_makes_the_uplink_and_later_ones_use_it(tmp_path: Path) -> None:
    made: list[str] = []
    with serving(tmp_path, answer(201), answer(201)) as server:
        line = late(server.url, made)
        line.close()
        assert made == []
        verdicts = [line.post(b"{}", key="k").verdict for _ in range(2)]
        line.close()

    assert (verdicts, made) == ([Verdict.ACK] * 2, [server.url])


def test_an_abort_before_the_first_request_counts() -> None:
    line = late("https://127.0.0.1:9/temps", [])
    line.abort()

    assert line.post(b"{}", key="k").detail == "ConnectionAbortedError: stopping"


def test_while_the_library_is_imported_nothing_is_in_flight_and_nothing_leaves_after_a_stop(tmp_path: Path) -> None:
    importing, imported = threading.Event(), threading.Event()
    found: list[str] = []
    with serving(tmp_path, answer(201)) as server:

        def slowly() -> Uplink:
            importing.set()
            imported.wait(20)
            return Uplink(Target(server.url, str(authority().certificate_file), 5.0), None)

        line = LateUplink(slowly)
        thread = threading.Thread(target=lambda: found.append(line.post(b"{}", key="k").detail))
        thread.start()
        assert importing.wait(20)
        assert line.stop() is False
        imported.set()
        thread.join(20)

    assert (found, server.seen) == (["ConnectionAbortedError: stopping"], [])


def test_a_stop_lets_the_request_in_flight_end_and_none_follow_it(tmp_path: Path) -> None:
    come, go = threading.Event(), threading.Event()

    def slow(sock: socket.socket, server: Server) -> bool:
        come.set()
        go.wait(20)
        return answer(201)(sock, server)

    found: list[Verdict] = []
    with serving(tmp_path, slow) as server:
        line = late(server.url, [])
        thread = threading.Thread(target=lambda: found.append(line.post(b"{}", key="k").verdict))
        thread.start()
        assert come.wait(20)
        assert line.stop() is True
        go.set()
        thread.join(20)
        after = line.post(b"{}", key="l")
        line.close()

    assert (found, after.detail, len(server.seen)) == ([Verdict.ACK], "ConnectionAbortedError: stopping", 1)


def test_an_abort_ends_the_request_in_flight(tmp_path: Path) -> None:
    with serving(tmp_path, hang) as server:
        line = late(server.url, [])
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(line.post(b"{}", key="k").detail))
        thread.start()
        while not server.seen:
            threading.Event().wait(0.01)
        line.abort()
        thread.join(3)

    assert not thread.is_alive()
