"""packaging/images: what the recipes of image builders hold that their builders, which are not here, rely on."""

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Final

from agent.config.files import read
from agent.issuers import can_renew

IMAGES: Final = Path(__file__).parent.parent / "packaging/images"
STAGE: Final = IMAGES / "pi-gen/stage-sensor-agent"
# pieces of the standard library that OE-core packages apart from python3-core, with what somebody might import of each
# (openembedded-core, meta/recipes-devtools/python/python3/python3-manifest.json, read 2026-11-29)
PIECES: Final = {
    "asyncio": "asyncio concurrent",
    "compile": "compileall filecmp py_compile",
    "compression": "gzip tarfile zipfile",
    "crypt": "hashlib",
    "ctypes": "ctypes",
    "curses": "curses",
    "datetime": "calendar datetime",
    "difflib": "difflib",
    "email": "email imaplib",
    "fcntl": "fcntl",
    "html": "html",
    "io": "socket ssl tempfile termios",
    "json": "json",
    "logging": "logging",
    "math": "cmath random",
    "mmap": "mmap",
    "multiprocessing": "multiprocessing",
    "netclient": "base64 ftplib hmac http mimetypes secrets smtplib uuid",
    "netserver": "socketserver",
    "numbers": "contextvars decimal fractions numbers",
    "pickle": "pickle shelve",
    "pprint": "pprint",
    "resource": "resource",
    "shell": "cmd shlex",
    "sqlite3": "sqlite3",
    "statistics": "statistics",
    "stringold": "string",
    "syslog": "syslog",
    "terminal": "pty tty",
    "threading": "queue",
    "tomllib": "tomllib",
    "unixadmin": "getpass",
    "xml": "xml",
    "zoneinfo": "zoneinfo",
}


def test_pi_gen_makes_an_image_of_the_stage() -> None:
    sourced = subprocess.run(
        ["bash", "-ec", 'source EXPORT_IMAGE; printf %s "$IMG_SUFFIX"'],
        cwd=STAGE, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert sourced.stdout not in {"", "-lite"}  # a name of its own beside stage2's


def test_pi_gen_runs_the_scripts_of_the_stage() -> None:
    assert all(os.access(STAGE / name, os.X_OK) for name in ("prerun.sh", "00-install/00-run.sh"))


def test_a_fleet_made_by_cloud_init_can_renew() -> None:
    text = (IMAGES / "cloud-init/user-data").read_text()
    begin = text.index("content: |", text.index("/etc/sensor-agent/config.toml")) + len("content: |\n")
    problems: list[str] = []
    config = read(tomllib.loads(dedent(text[begin:].partition("\n#")[0])), problems)

    assert config, problems
    assert can_renew(config.enroll.issuer, renew_url=config.enroll.renew_url)


def imported() -> Iterator[str]:
    for file in (IMAGES.parent.parent / "agent").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module or ""


def test_the_yocto_recipe_names_each_piece_of_the_standard_library() -> None:
    recipe = next((IMAGES / "yocto").glob("sensor-agent_*.bb")).read_text()
    named = set(re.findall(r"^    python3-([a-z0-9]+) ", recipe, flags=re.MULTILINE))
    roots = {name.partition(".")[0] for name in imported()}

    assert {piece for piece, modules in PIECES.items() if roots & set(modules.split())} - named == set()
