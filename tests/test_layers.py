"""Who may import whom, read from the source: the rules that keep the core pure and every part replaceable.

The checker takes the tree as an argument, so that it can be seen to find each kind of mistake in a made one.
"""

import ast
import re
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

AGENT: Final = Path(__file__).parent.parent / "agent"

# lowest first; a unit is a module, or a package inside of which siblings may import each other
LAYERS: Final[tuple[tuple[str, ...], ...]] = (
    ("record", "printable"),
    ("errors", "events", "reading", "causes", "certificate"),
    (
        *("schedule", "backlog", "binding", "delivery", "ledger", "pem", "pkcs12", "quality", "renewal", "sensors"),
        *("trend", "chart"),
    ),
    ("stand_ins",),
    (
        *("config", "spool", "uplink", "issuers", "identity", "identity_store", "status_file"),
        *("journal", "notify", "clock", "device", "lanes", "watched_thread", "control"),
        *("sensors.onewire", "sensors.i2c", "sensors.kernel", "sensors.simulated"),
    ),
    ("image", "measurement", "desk", "flash"),
    ("sampler", "flush", "enrollment"),
    ("ticks", "status", "sensors.drivers", "sensors.inventory"),
    ("service", "checks"),
    ("cli",),
)
RANK: Final = {unit: rank for rank, layer in enumerate(LAYERS) for unit in layer}
PURE: Final = (*LAYERS[0], *LAYERS[1], *LAYERS[2])
# what computes; nothing here opens a file, reads a clock, draws a number or logs
PURE_LIBRARY: Final = frozenset(
    {
        *("abc", "base64", "binascii", "bisect", "collections", "dataclasses", "datetime", "decimal", "email", "enum"),
        *("errno", "functools", "hashlib", "html", "ipaddress", "itertools", "json", "math", "operator", "re"),
        *("pathlib", "string", "struct", "types", "typing", "zlib"),
    }
)
# keys and signatures draw their numbers inside `cryptography`
PURE_EXCEPTIONS: Final = {("pem", "cryptography"), ("pkcs12", "cryptography")}
WORLD_CALLS: Final = frozenset(
    {
        *("open", "print", "input", "now", "today", "utcnow"),
        *("read_text", "read_bytes", "write_text", "write_bytes", "exists", "is_file", "is_dir", "is_symlink"),
        *("stat", "resolve", "iterdir", "glob", "rglob", "mkdir", "unlink", "touch"),
    }
)

DEVSHIELD_MAY_USE: Final = frozenset({*PURE, "config"})
STARTS_THE_DEVSHIELD: Final = ("cli.shield", "cli.shield_authority", "cli.shield_setup", "cli.demo")

HOMES: Final[Mapping[str, tuple[str, ...]]] = {
    "requests": ("issuers", "devshield"),  # the operator's tools call the zone's API
    "urllib3": ("uplink", "issuers"),
    "sqlite3": ("spool",),
    "smbus2": ("sensors.i2c", "devshield"),  # the devshield plays the kernel under the real library
    "w1thermsensor": ("sensors.onewire",),
    "systemd": ("journal", "notify"),
    "cryptography": ("pem", "pkcs12", "devshield"),
    "tenacity": ("enrollment",),
    "OpenSSL": ("devshield",),
}
BANNED_WORDS: Final = frozenset({"util", "utils", "helper", "helpers", "common", "base", "manager"})
FOREIGN_NAMES: Final = frozenset({"common_name"})  # X.520's word
MEDIAN_LINES: Final = 150


@dataclass(frozen=True, slots=True)
class Module:
    """One source file; `name` is dotted below the package, empty for the package itself."""

    name: str
    tree: ast.Module
    lines: int

    @property
    def unit(self) -> str:
        """What the tables name it by: the longest entry that it is or stands in."""
        if self.name in {"", "__main__"}:
            return "cli" if self.name else ""
        return unit_of(self.name)


def unit_of(name: str) -> str:
    """The longest unit of the tables that the dotted name is or stands in, else its first part."""
    parts = name.split(".")
    whole = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((unit for unit in whole if unit in RANK), parts[0])


def modules(package: Path) -> list[Module]:
    """Every module below the package directory."""
    found = []
    for file in sorted(package.rglob("*.py")):
        name = ".".join(file.relative_to(package).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        text = file.read_text(encoding="utf-8")
        found.append(Module(name, ast.parse(text), text.count("\n")))
    return found


def imports(module: Module, known: frozenset[str]) -> Iterator[str]:
    """Dotted names that the module imports, anywhere in it; of the agent as `agent.x`, a module where it is one."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for alias in node.names:
                deeper = f"{origin}.{alias.name}"
                yield deeper if deeper.removeprefix("agent.") in known else origin


def problems(package: Path) -> list[str]:
    """What breaks the rules in the tree below `package`, one sentence each."""
    found = modules(package)
    known = frozenset(module.name for module in found)
    return [
        f"{module.name or 'agent'}: {problem}"
        for module in found
        for problem in (*placement(module), *import_problems(module, known), *purity(module), *naming(module))
    ] + median_problem(found)


def placement(module: Module) -> Iterator[str]:
    """A module that has no layer."""
    if module.unit not in RANK and module.unit not in {"", "devshield"}:
        yield "has no layer; give it one in LAYERS"


def import_problems(module: Module, known: frozenset[str]) -> Iterator[str]:
    """Imports that point up or sideways, and libraries away from home."""
    for name in sorted(set(imports(module, known))):
        first = name.split(".", maxsplit=1)[0]
        if name.startswith("."):
            yield f"imports {name!r}; write agent.…"
        elif first == "agent":
            yield from inner_problem(module, name.removeprefix("agent").removeprefix("."))
        elif first in HOMES and module.unit not in HOMES[first]:
            yield f"imports {first}, which belongs to {' and '.join(HOMES[first])}"
        elif first not in HOMES and first not in sys.stdlib_module_names:
            yield f"imports {first}, which has no home in HOMES"


def inner_problem(module: Module, name: str) -> Iterator[str]:
    """An import of `agent.<name>` that the layers do not allow."""
    unit = unit_of(name)
    if unit == module.unit or not name:
        return
    if unit == "devshield":
        if module.name not in STARTS_THE_DEVSHIELD:
            yield f"imports devshield.{name.removeprefix('devshield').lstrip('.')}; the daemon knows no development shield"
    elif module.unit == "devshield":
        if unit not in DEVSHIELD_MAY_USE:
            yield f"imports {unit}; the development shield stands outside of the daemon"
    elif RANK.get(unit, len(LAYERS)) >= RANK.get(module.unit, -1):
        yield f"imports {unit}, which is not below it"


def purity(module: Module) -> Iterator[str]:
    """What the pure core does with the world."""
    if module.unit not in PURE:
        return
    for name in sorted(set(imports(module, frozenset()))):
        first = name.split(".", maxsplit=1)[0]
        if first not in PURE_LIBRARY and first != "agent" and (module.unit, first) not in PURE_EXCEPTIONS:
            yield f"imports {first}; the pure core has no world"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = (
                called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
            )
            if name in WORLD_CALLS:
                yield f"calls {name}(); the pure core has no world"


def naming(module: Module) -> Iterator[str]:
    """Names that say nothing."""
    defined = [
        node.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for name in (*module.name.split("."), *defined):
        words = [] if name.strip("_") in FOREIGN_NAMES else re.findall(r"[A-Z]?[a-z]+", name)
        for word in BANNED_WORDS.intersection(map(str.lower, words)):
            yield f"{name!r} has {word!r} in its name"


def median_problem(found: list[Module]) -> list[str]:
    """Modules that have grown too long, taken together."""
    median = statistics.median(module.lines for module in found)
    return [] if median < MEDIAN_LINES else [f"agent: the median module has {median:g} lines, {MEDIAN_LINES} or more"]


def test_the_agent_keeps_its_layers() -> None:
    assert problems(AGENT) == []


def test_the_checker_sees_the_whole_agent() -> None:
    names = {module.name for module in modules(AGENT)}

    assert {"errors", "reading", "spool.queue", "sensors", "sensors.chips", "cli"} <= names


MISTAKES: Final = (
    ("nowhere.py", "", "nowhere: has no layer"),
    ("reading.py", "import agent.delivery", "reading: imports delivery, which is not below it"),
    ("reading.py", "from agent import delivery", "reading: imports delivery, which is not below it"),
    ("reading.py", "def late():\n    from agent.spool import Spool", "reading: imports spool, which is not below it"),
    ("uplink.py", "from agent.spool import Spool", "uplink: imports spool, which is not below it"),
    ("reading.py", "from agent import errors", "reading: imports errors, which is not below it"),
    ("sensors/chips.py", "import agent.sensors.i2c", "sensors.chips: imports sensors.i2c, which is not below it"),
    ("sensors/i2c.py", "from agent.sensors import kernel", "sensors.i2c: imports sensors.kernel, which is not below"),
    ("service.py", "from agent.cli import main", "service: imports cli, which is not below it"),
    ("spool/queue.py", "from . import store", "spool.queue: imports '.'; write agent.…"),
    ("delivery.py", "import random", "delivery: imports random; the pure core has no world"),
    ("sensors/chips.py", "import time", "sensors.chips: imports time; the pure core has no world"),
    ("schedule.py", "from logging import getLogger", "schedule: imports logging; the pure core has no world"),
    ("reading.py", "from datetime import datetime\ndatetime.now()", "reading: calls now(); the pure core has no world"),
    (
        "pem.py",
        "from pathlib import Path\nPath('x').read_bytes()",
        "pem: calls read_bytes(); the pure core has no world",
    ),
    ("certificate.py", "text = open('x')", "certificate: calls open(); the pure core has no world"),
    (
        "enrollment.py",
        "import requests",
        "enrollment: imports requests, which belongs to issuers and devshield",
    ),
    ("status.py", "import sqlite3", "status: imports sqlite3, which belongs to spool"),
    ("sensors/kernel.py", "import smbus2", "sensors.kernel: imports smbus2, which belongs to sensors.i2c"),
    ("cli/read.py", "import w1thermsensor", "cli.read: imports w1thermsensor, which belongs to sensors.onewire"),
    ("service.py", "import systemd.daemon", "service: imports systemd, which belongs to journal and notify"),
    ("identity.py", "from cryptography import x509", "identity: imports cryptography, which belongs to pem and pkcs12"),
    ("uplink.py", "import tenacity", "uplink: imports tenacity, which belongs to enrollment"),
    ("cli/run.py", "import click", "cli.run: imports click, which has no home in HOMES"),
    ("cli/run.py", "import agent.devshield.board", "cli.run: imports devshield.board; the daemon knows no"),
    ("clock.py", "from agent import devshield", "clock: imports devshield.; the daemon knows no"),
    ("devshield/edge.py", "from agent.uplink import Uplink", "devshield.edge: imports uplink; the development shield"),
    ("spool/utils.py", "", "spool.utils: 'utils' has 'utils' in its name"),
    ("spool/queue.py", "class SpoolManager: ...", "spool.queue: 'SpoolManager' has 'manager' in its name"),
    ("spool/queue.py", "def _common_path(): ...", "spool.queue: '_common_path' has 'common' in its name"),
    ("spool/queue.py", "x = 1\n" * 2000, "agent: the median module has"),
)

ALLOWED: Final = (
    (
        "spool/queue.py",
        "import sqlite3\nimport logging\nfrom agent.spool import store\nfrom agent.reading import Reading",
    ),
    ("uplink.py", "import urllib3\nfrom agent import delivery"),
    ("cli/demo.py", "import agent.devshield.stage"),
    ("devshield/edge.py", "import OpenSSL\nfrom agent import pem\nfrom agent.devshield import stage"),
    ("sensors/chips.py", "import struct\nfrom agent.sensors import Bus\nfrom agent.errors import Unreadable"),
    ("__main__.py", "from agent.cli import main"),
    ("pem/keys.py", "import cryptography"),
)


def made_tree(root: Path, file: str, text: str) -> Path:
    """A tree of empty modules without a mistake, but for one file with the given text."""
    names = ["__init__", "spool/__init__", "spool/store", "sensors/__init__", "sensors/i2c", "sensors/kernel"]
    names += ["delivery", "errors", "pem", "reading", "cli/__init__", "devshield/__init__", "devshield/stage"]
    package = root / "agent"
    if "median" not in text and text.count("\n") > MEDIAN_LINES:
        names = []  # alone, so that it is the median
    for name in (*(f"{name}.py" for name in names), file):
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if name == file else "", encoding="utf-8")
    return package


@pytest.mark.parametrize(("file", "text", "expected"), MISTAKES)
def test_the_checker_finds_one_mistake(tmp_path: Path, file: str, text: str, expected: str) -> None:
    (only,) = problems(made_tree(tmp_path, file, text))

    assert only.startswith(expected)


@pytest.mark.parametrize(("file", "text"), ALLOWED)
def test_the_checker_allows_what_the_layers_allow(tmp_path: Path, file: str, text: str) -> None:
    assert problems(made_tree(tmp_path, file, text)) == []
