"""The documentation's pages: links lead somewhere, tables of chips and states are those of the code.

What `make docs` also needs (mkdocs) is not needed here: these run in every environment.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest
import reference

from agent.cli import parser
from agent.cli.manual import commands
from agent.delivery import LineState
from agent.errors import Absent, Implausible, Misconfigured, SensorError, Unreadable
from agent.events import MESSAGE_IDS
from agent.identity import IdentityState
from agent.ledger import Cause
from agent.sensors.chips import CHIPS
from agent.sensors.ds18b20 import FAMILIES, RATED_CELSIUS

ROOT: Final = Path(__file__).parent.parent
DOCS: Final = ROOT / "docs"
PAGES: Final = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
LINK: Final = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
EXTERNAL: Final = re.compile(r"https://[\w.-]+(/[\w./#?=&%+-]*)?")


def prose(markdown: str) -> str:
    """Without what is code."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^ *```.*?^ *```", "", markdown, flags=re.MULTILINE | re.DOTALL))


def anchors(markdown: str) -> set[str]:
    """Names of the headings, as both GitHub and mkdocs make them of plain words."""
    text = re.sub(r"^ *```.*?^ *```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", head).strip().lower()) for head in heads}


def dead(page: Path, markdown: str) -> Iterator[str]:
    """Links of the page that lead nowhere; those to other sites are looked at, not followed."""
    for link in LINK.findall(prose(markdown)):
        if re.match(r"[a-z]+:", link):
            if not EXTERNAL.fullmatch(link):
                yield link
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        if not target.exists():
            # pages that hooks.py makes of the root's and of the code
            if page.parent != DOCS or file not in {*MADE, *(name.lower() for name in OF_THE_ROOT)}:
                yield link
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield link


MADE: Final = ("commands.md", "configuration.md", "contracts.md")
OF_THE_ROOT: Final = ("ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert not list(dead(page, page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("link", ["gone.md", "status.md#gone", "#gone", "http://example.com", "mailto:"])
def test_a_dead_link_is_found(link: str) -> None:
    assert list(dead(DOCS / "index.md", f"# Here\n[x]({link})")) == [link]


def test_links_in_code_are_none() -> None:
    assert not list(dead(DOCS / "index.md", "`[x](gone.md)`\n```\n[x](gone.md)\n```\n"))


@pytest.mark.parametrize("name", [page.name for page in PAGES if page.parent == DOCS])
def test_each_page_is_in_the_navigation(name: str) -> None:
    assert re.search(rf"\b{re.escape(name)}$", (DOCS / "site/mkdocs.yml").read_text(), re.MULTILINE)


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The table below the heading: its other cells by the first."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line.startswith("|")]
    return {row[0].strip("`"): row[1:] for row in cells[2:]}


def spans(addresses: Iterable[int]) -> str:
    """`0x48–0x4b`, or single ones with commas."""
    found: list[list[int]] = []
    for address in sorted(addresses):
        if found and address == found[-1][1] + 1:
            found[-1][1] = address
        else:
            found.append([address, address])
    return ", ".join(f"0x{low:02x}" if low == high else f"0x{low:02x}–0x{high:02x}" for low, high in found)


def degrees(low: float, high: float) -> str:
    """`−55 to 125`."""
    return f"{low:g} to {high:g}".replace("-", "−")


def test_the_table_of_chips_is_the_codes() -> None:
    said = {name: cells[:3] for name, cells in rows("sensors.md", "I2C chips").items()}

    assert said == {
        name: [f"0x{chip.address:02x}", spans(chip.addresses), degrees(*chip.rated_celsius)]
        for name, chip in CHIPS.items()
    }


def test_the_comparison_counts_the_chips() -> None:
    assert f"{len(CHIPS)} I2C chips" in (DOCS / "comparison.md").read_text(encoding="utf-8")


def test_the_table_of_one_wire_families_is_the_codes() -> None:
    said = {name: cells[:2] for name, cells in rows("sensors.md", "1-Wire").items()}

    assert said == {name: [f"{family:02x}-", degrees(*RATED_CELSIUS)] for name, family in FAMILIES.items()}


@pytest.mark.parametrize(
    ("heading", "states"),
    [
        ("The whole", ["healthy", "degraded", "broken", "stopped"]),
        ("The line", [state.value for state in LineState]),
        ("The identity", [state.value for state in IdentityState]),
        ("A sensor", [kind.kind for kind in (Absent, Unreadable, Implausible, Misconfigured)]),
        ("A gap", [cause.value for cause in Cause]),
    ],
)
def test_each_state_is_explained_with_what_ends_it(heading: str, states: list[str]) -> None:
    said = rows("operations.md", heading)

    assert list(said) == states
    assert all(len(cells) == 2 and all(cells) for cells in said.values())


def test_no_kind_of_sensor_error_is_forgotten() -> None:
    def below(kind: type[SensorError]) -> Iterator[type[SensorError]]:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    assert {each.kind for each in below(SensorError)} == set(rows("operations.md", "A sensor"))


def test_the_reference_has_every_command_key_and_event() -> None:
    page = reference.commands_page()
    assert all(
        f"\n## {words.removeprefix('sensor-agent ')}\n" in page for words, _ in commands(parser(), "sensor-agent")
    )

    example = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    keys = set(re.findall(r"^#?([A-Za-z_]+) = ", example, re.MULTILINE))
    assert all(f"\n`{key} = " in reference.configuration_page(example) for key in keys)

    page = reference.contracts_page((ROOT / "systemd/sensor-agent.catalog").read_text(encoding="utf-8"), [])
    assert all(f"### {event}\n\n`MESSAGE_ID={number}`" in page for event, number in MESSAGE_IDS.items())


def test_the_reference_has_every_exit_code() -> None:
    def below(kind: type[Exception]) -> Iterator[int]:
        for each in kind.__subclasses__():
            yield getattr(each, "exit_code", 1)
            yield from below(each)

    from agent.errors import AgentError

    assert {code for code, _ in reference.exit_codes()} >= set(below(AgentError))
