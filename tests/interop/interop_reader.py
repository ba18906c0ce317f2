"""The reader's page in headless Chromium, with the .p12 that `identity bundle` wrote, against each kind of shield.

READER_PICTURES names a directory for pictures of the page, for somebody to look at.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from interop import readers_world
from interop.browser import DESKTOP, PHONE
from interop.readers_world import HOSTILE, World, reading

READY: Final = "document.querySelector('#line')?.textContent.startsWith('as of')"
CARDS: Final = """
[...document.querySelectorAll("article")].map((card) => ({
  title: card.querySelector("h2").textContent,
  value: card.querySelector("b").textContent,
  age: card.querySelector(".now i").textContent,
  stale: !card.querySelector("mark").hidden,
  words: card.querySelector("small").textContent,
  lines: (card.querySelector(".line")?.getAttribute("d").match(/M/g) ?? []).length,
  points: (card.querySelector(".line")?.getAttribute("d").match(/[ML]/g) ?? []).length,
  gaps: card.querySelectorAll(".gap").length,
  axis: [...card.querySelectorAll("svg text")].map((text) => text.textContent),
  label: card.querySelector("svg").ariaLabel,
}))
"""
FAST: Final = f"({CARDS.strip()}).find((card) => card.title === 'fast')?.value"
TROUBLE: Final = "document.querySelector('#trouble').hidden ? '' : document.querySelector('#trouble span').textContent"
AGAIN: Final = "dispatchEvent(new Event('online'))"  # what a phone says when its network is back: ask now
ALONE: Final = "document.documentElement.scrollWidth <= innerWidth"  # nothing to scroll sideways for


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All of it, started once."""
    with readers_world.run(tmp_path_factory.mktemp("reader")) as made:
        yield made


def picture(world: World, name: str) -> None:
    """Keep a picture, where somebody wants them."""
    if directory := os.environ.get("READER_PICTURES"):
        Path(directory).mkdir(parents=True, exist_ok=True)
        Path(directory, f"{name}.png").write_bytes(world.browser.picture())


@pytest.mark.parametrize("where", ["dev", "worker"])
def test_each_sensor_has_its_latest_reading_and_a_chart_with_its_gaps(world: World, where: str) -> None:
    page = world.browser
    page.size(*PHONE)
    page.open(world.urls[where])
    page.until(READY)

    cellar, cold, freezer = page.value(CARDS)
    assert [each["title"] for each in (cellar, cold, freezer)] == ["cellar", "cold room", "freezer"]
    assert (freezer["value"], cold["value"], cellar["age"]) == ("−18.00 °C", "3.97 °C", "2 h ago")
    assert [each["stale"] for each in (cellar, cold, freezer)] == [True, False, False]
    assert freezer["words"].endswith(", gaps: 1")
    assert (freezer["lines"], freezer["gaps"], cold["lines"], cold["gaps"]) == (2, 1, 1, 0)
    assert (cold["points"], freezer["points"]) == (1436, 1436 - 119)  # several pages of a thousand
    assert (cellar["lines"], cellar["gaps"]) == (1, 1)  # from its last reading to now
    assert freezer["axis"][0] == "°C"
    assert "−18" in freezer["axis"]
    assert len({"00:00", "06:00", "12:00", "18:00"} & set(freezer["axis"])) >= 3  # one may be too near to the edge
    assert freezer["label"].startswith("Since ")
    assert page.value(ALONE)


def test_a_name_is_text_and_a_point_says_its_value_and_time(world: World) -> None:
    page = world.browser
    world.post(reading(datetime.now(UTC), 0, HOSTILE, 0))
    page.open(world.urls["dev"])
    page.until(READY)

    assert page.value(CARDS)[0]["title"] == HOSTILE
    assert page.value("document.images.length") == 0
    page.value("document.querySelector('article:last-child svg').dispatchEvent(new PointerEvent('pointermove'))")
    said = page.value("document.querySelector('article:last-child small').textContent")
    assert re.fullmatch(r"−1[6-9]\.\d{3} °C at \d\d:\d\d:\d\d", said), said


@pytest.mark.parametrize(("size", "dark"), [(PHONE, False), (PHONE, True), (DESKTOP, False), (DESKTOP, True)])
def test_it_fits_and_takes_the_systems_colours(world: World, size: tuple[int, int], dark: bool) -> None:
    page = world.browser
    page.size(*size, dark=dark)
    page.open(world.urls["worker"])
    page.until(READY)

    back, ink = page.value("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    assert (back, ink) == (
        ("rgb(17, 17, 17)", "rgb(238, 238, 238)") if dark else ("rgb(243, 244, 246)", "rgb(34, 34, 34)")
    )
    assert page.value(ALONE)
    picture(world, f"{'phone' if size == PHONE else 'desktop'}-{'dark' if dark else 'light'}")


def test_what_comes_is_shown_and_nothing_is_asked_for_while_nobody_looks(world: World) -> None:
    page = world.browser
    world.post(*(reading(datetime.now(UTC), (10 - second) / 60, "fast", second) for second in range(10)))
    page.open(world.urls["dev"])
    page.until(READY)
    world.post(reading(datetime.now(UTC), 0, "fast", 77))
    page.until(f"{FAST} === '77.00 °C'")  # by itself, within the five seconds that suit this sensor

    page.until("!busy")
    page.value("due = Date.now() + 1500, schedule()")  # not the five seconds again
    with page.hidden():
        world.post(reading(datetime.now(UTC), -1 / 60, "fast", 78))
        before = len(world.asked())
        page.value("new Promise((done) => setTimeout(done, 2500))")
        assert (page.value("document.hidden"), len(world.asked())) == (True, before)
    page.until(f"!busy && {FAST} === '78.00 °C'")
    new = world.asked()[before:]
    assert (new[0], new[1].startswith("/temps?from="), len(new)) == ("/sensors", True, 2)


def shown(world: World, title: str) -> dict[str, Any]:
    """The card of that title, once the page has asked again."""
    world.browser.until("turn().then(() => !busy)")
    [card] = [each for each in world.browser.value(CARDS) if each["title"] == title]
    return dict(card)


def test_a_backlog_that_comes_after_a_newer_reading_fills_its_gap(world: World) -> None:
    page, now = world.browser, datetime.now(UTC)
    world.post(*(reading(now, minute, "late", 20) for minute in range(40, 20, -1)))
    page.open(world.urls["dev"])
    page.until(READY)
    world.post(reading(now, 0, "late", 21))
    assert [shown(world, "late")[name] for name in ("value", "points", "gaps")] == ["21.00 °C", 21, 1]

    world.post(*(reading(now, minute, "late", 20) for minute in range(20, 0, -1)))
    assert [shown(world, "late")[name] for name in ("points", "gaps")] == [41, 0]
    before = len(world.asked())
    world.post(reading(datetime.now(UTC), -1 / 60, "late", 22))
    shown(world, "late")
    assert len(world.asked()) - before == 2  # not all again


def test_equal_readings_under_one_name_do_not_ask_for_all_again(world: World) -> None:
    page, now = world.browser, datetime.now(UTC)
    twins = [[{**reading(now, minute, "twin", 4), "of": of} for of in (1, 2)] for minute in (2, 1, 0)]
    world.post(*twins[0], *twins[1])
    page.open(world.urls["dev"])
    page.until(READY)
    for each in (twins[2], [{**reading(now, 0, "twin", 5), "of": 1}]):
        before = len(world.asked())
        world.post(*each)
        shown(world, "twin")
        assert len(world.asked()) - before == 2


def test_a_reading_of_a_clock_that_was_ahead_hides_nothing_newer(world: World) -> None:
    page, now = world.browser, datetime.now(UTC)
    world.post(*(reading(now, minute, "ahead", 20) for minute in range(30, 0, -1)), reading(now, -600, "ahead", 99))
    page.open(world.urls["dev"])
    page.until(READY)
    for celsius in (21, 22):
        world.post(reading(datetime.now(UTC), 0, "ahead", celsius))
        assert shown(world, "ahead")["value"] == f"{celsius}.00 °C"
    card = "[...document.querySelectorAll('article')].find((card) => card.querySelector('h2').textContent === 'ahead')"
    assert page.value(f"{card}.querySelector('mark').textContent") == "clock ahead"
    assert not page.value(f"{card}.classList.contains('stale')")
    assert shown(world, "ahead")["points"] == 32

    world.post(reading(now, -600, "only ahead", 99))
    only = shown(world, "only ahead")
    assert (only["value"], only["age"], only["stale"]) == ("99.00 °C", "", True)  # the mark is there


def test_devices_that_do_not_answer_are_told(world: World) -> None:
    page = world.browser
    page.open(world.urls["dev"])
    page.until(READY)
    page.value("ask = async () => ({ sensors: [], missing: ['one', 'other'] })")
    page.until("turn().then(() => document.querySelector('#note').textContent === 'Devices not fully shown: 2. ')")


TROUBLES: Final = {
    "503": "The shield cannot answer now (503). It says: error code: 503",
    "429:30": "The shield cannot answer now (429). It says: error code: 1015",
    "portal": "Not the shield answers, but perhaps a network's log-in page.",
    "302": "Not the shield answers, but perhaps a network's log-in page.",
    "drop": "The shield cannot be reached, or refuses this certificate.",
    "400html": "This certificate may not read here (400): expired, revoked or not listed. Ask who runs the shield.",
}


def test_what_is_wrong_is_said_in_words_and_ends_when_it_ends(world: World) -> None:
    page = world.browser
    page.size(*PHONE)
    page.open(world.urls["dev"])
    page.until(READY)
    said = {}
    for fault in TROUBLES:
        world.shield.faults.put("shield", [fault])
        page.value(AGAIN)
        said[fault] = page.until(f"busy ? '' : {TROUBLE}")
        world.shield.faults.put("shield", [])
        page.value("document.querySelector('#trouble button').click()")
        page.until(f"!busy && !({TROUBLE})")
    assert said == TROUBLES

    page.offline(gone=True)
    assert page.until(f"busy ? '' : {TROUBLE}") == "This device is offline."
    page.offline(gone=False)
    page.until(f"!busy && !({TROUBLE})")
    assert len(page.value(CARDS)) >= 4  # what was known stays


def test_a_revoked_reader_is_told_so(world: World) -> None:
    page = world.browser
    page.open(world.urls["dev"])
    page.until(READY)
    [mine] = [each for each in world.shield.issued.all() if each.fields["fingerprint_sha256"] == world.phone]
    world.shield.issued.set_revoked(mine.fields["id"], revoked=True)
    try:
        said = page.until(f"turn().then(() => {TROUBLE})")
        picture(world, "refused")
    finally:
        world.shield.issued.set_revoked(mine.fields["id"], revoked=False)
    assert said.startswith("This certificate may not read here (403): expired, revoked or not listed.")
    page.until(f"turn().then(() => !({TROUBLE}))")


def test_the_tutorials_api_alone_is_enough(world: World) -> None:
    page = world.browser
    page.size(*PHONE)
    page.open(world.urls["tutorial"])
    page.until(READY)

    [freezer] = page.value(CARDS)
    assert (freezer["title"], freezer["value"], freezer["points"], freezer["stale"]) == (
        "freezer",
        "−18.00 °C",
        5,
        False,
    )
    assert "This shield lists five readings" in page.text()
    assert page.value("document.querySelector('select').hidden")
    picture(world, "tutorial")


@pytest.mark.parametrize("celsius", ["1e12", "1e300", "-274"])
def test_a_temperature_beyond_any_sensor_breaks_no_chart(world: World, celsius: str) -> None:
    page = world.browser
    page.open(world.urls["tutorial"])
    page.until(READY)
    bad, good = (f"new Date(Date.now() - {seconds}e3).toISOString()" for seconds in (30, 60))
    page.value(f"add([{{ temperature: '{celsius}', time: {bad} }}, {{ temperature: '20', time: {good} }}]), draw(), 1")

    assert [each["value"] for each in page.value(CARDS) if each["title"] == "Sensor"] == ["20.00 °C"]
