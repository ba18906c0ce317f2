"""Schemathesis run on a description of packaging/shield: what was sent and what was answered, once nothing was wrong."""

import base64
import json
import logging
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from interop.runtime import ROOT
from world.descriptions import DESCRIPTIONS, described

from agent.devshield.routes import Routes

PROGRAM: Final = os.environ.get("SCHEMATHESIS", str(ROOT / "build/interop/fuzz/bin/schemathesis"))
EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "10"))
STORAGE: Final = ROOT / "build/interop/hypothesis"  # a table of characters, whose making takes four seconds
SHARE: Final = 0.7  # of the requests that have one of the words


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer; header names are in lower case, `path` goes without the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    sent: bytes
    status: int
    body: bytes


def fuzz(
    directory: Path,
    description: str,
    url: str,
    *arguments: str,
    without: Sequence[str] = (),
    settings: str = "",
    links: bool = False,
) -> list[Exchange]:
    """What went to and fro; `without` are checks that are left out. With `links` what they lead to and nothing else.

    Fails with what was found, if anything was.
    """
    directory.mkdir(parents=True, exist_ok=True)
    har = directory / "answers.har"
    (directory / "schemathesis.toml").write_text(settings)
    command = [PROGRAM, "run", str(DESCRIPTIONS / description), f"--url={url}", *arguments]
    command += [f"--max-examples={EXAMPLES}", f"--report-har-path={har}", "--output-sanitize=false"]
    command += [f"--phases={'stateful' if links else 'examples,coverage,fuzzing'}"]
    command += [f"--exclude-checks={','.join(without)}"] if without else []
    command += ["--suppress-health-check=all", "--generation-deterministic", "--no-color"]
    environment = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(STORAGE)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=3600, cwd=directory, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return list(_exchanges(json.loads(har.read_bytes())["log"]["entries"]))


def settings(words: Mapping[str, Sequence[str]], tokens: Mapping[str, str] | None = None) -> str:
    """Schemathesis' configuration: words for parameters, as `path.id`, and bearer tokens by a path's beginning."""
    lines = ["[phases.stateful.inference]", "algorithms = []"]  # links are those of the description alone
    for place, name in enumerate(words):
        lines += [f"[dictionaries.words{place}]", f"values = {json.dumps(list(words[name]))}"]
    lines += ["[parameters]"]
    for place, name in enumerate(words):
        lines += [f'"{name}" = {{dictionary = "words{place}", probability = {SHARE}}}']
    if not tokens:
        lines += ["[generation]", "with-security-parameters = false"]  # none that schemathesis makes up
    for path, token in (tokens or {}).items():
        lines += ["[[operations]]", f"include-path-regex = {json.dumps('^' + path)}"]
        lines += [f'headers = {{Authorization = "Bearer {token}"}}']
    return "\n".join(lines) + "\n"


def never_well(exchanges: Iterable[Exchange], description: str) -> set[str]:
    """The described methods and paths that had no success."""
    routes = {path: tuple(methods) for path, methods in described(description).items()}
    known = Routes(routes)
    well = {
        f"{each.method} {found.path}" for each in exchanges if each.status < 300 and (found := known.find(each.path))
    }
    return {f"{method} {path}" for path, methods in routes.items() for method in methods} - well


@contextmanager
def no_complaint() -> Iterator[None]:
    """Fails for a warning or an error in the log of the development shield's servers."""
    records: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Kept(logging.WARNING)
    logger = logging.getLogger("agent.devshield")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    assert not records, [handler.format(record) for record in records]


def _exchanges(entries: list[dict[str, Any]]) -> Iterator[Exchange]:
    for entry in entries:
        request, response = entry["request"], entry["response"]
        content = response["content"]
        text = content.get("text", "")
        yield Exchange(
            request["method"],
            urlsplit(request["url"]).path,
            {each["name"].lower(): each["value"] for each in request["headers"]},
            request.get("postData", {}).get("text", "").encode(),
            response["status"],
            base64.b64decode(text) if content.get("encoding") == "base64" else text.encode(),
        )
