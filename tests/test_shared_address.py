"""Two devices behind one address, where the tutorial's shield lists the readings of both: a lost request loses none.

Real uplinks at a development shield. A double is a reading with the same temperature, second and fields.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from world.visitors import pair

from agent import reading
from agent.delivery import Backoff
from agent.devshield.authority import open_or_create
from agent.devshield.shield import Api, Setup, Shield
from agent.flush import Flush, Plan
from agent.reading import Reading
from agent.spool import Spool, Spooled
from agent.uplink import Target, Uplink

START = 1_795_000_000
LOST_REQUEST, LOST_ANSWER = ["drop*1"], ["lost*1"]


class Device:
    """A board with a spool in that directory, whose clock does not wait; `names_itself` as `extra_fields` has it."""

    def __init__(
        self, name: str, directory: Path, shield: Shield, files: tuple[str, str], *, names_itself: bool
    ) -> None:
        self.ahead = 0.0
        self.spool = Spool(directory / f"{name}.db")
        extra = {"device": name} if names_itself else {}
        target = Target(shield.url, str(shield.ca_file), 20.0)

        def body(spooled: Spooled) -> bytes:
            return reading.body(spooled.reading, temperature_as="string", extra=extra)

        plan = Plan(lambda shown: Uplink(target, shown), lambda: files, body, f"{name}-{{}}".format, Backoff())
        self.flush = Flush(self.spool, plan, monotonic=self.monotonic, wall=time.time, jitter=lambda: 0.5)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def deliver(self, *milli: int, tick: int) -> None:
        """Take these temperatures in one tick and send what is pending until nothing is."""
        self.spool.append([Reading(f"s{place}", each, START + 60 * tick) for place, each in enumerate(milli)])
        for _ in range(50):
            again = self.flush.step()
            if again == math.inf:
                return
            self.ahead += max(0.0, again - self.monotonic())
        raise AssertionError(self.spool.counts())

    def close(self) -> None:
        self.flush.close()
        self.spool.close()


class Site:
    """A shield, and the devices behind one router of it."""

    def __init__(self, directory: Path, api: Api) -> None:
        self.directory = directory
        self.shield = Shield(Setup(directory / "shield", api=api))
        certificate, key = pair(directory, "p256", open_or_create(directory / "shield"))
        self.files = str(certificate), str(key)
        self.devices: list[Device] = []

    def device(self, name: str, *, names_itself: bool = False) -> Device:
        """It begins anew with the spool that it had, if it had one."""
        self.devices.append(Device(name, self.directory, self.shield, self.files, names_itself=names_itself))
        return self.devices[-1]

    def meets(self, fault: list[str]) -> None:
        self.shield.faults.put("shield", fault)

    def stored(self, name: str) -> list[str]:
        """The keys of the device's readings in the order in which they were stored."""
        keys = [json.loads(row["idempotency_key"]) for row in self.shield.requests() if row["stored"]]
        return [key for key in keys if key.startswith(name)]

    def asked(self) -> int:
        """How often somebody asked for the list."""
        return sum(row["method"] == "GET" for row in self.shield.requests())

    def close(self) -> None:
        for each in self.devices:
            each.close()
        self.shield.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def build(api: Api = "tutorial") -> Site:
        made.append(Site(tmp_path, api))
        return made[-1]

    yield build
    for each in made:
        each.close()


Make = Callable[..., Site]


def test_a_lost_request_of_the_first_reading_is_sent_again_though_a_neighbour_sent_its_double(site: Make) -> None:
    here = site()
    ours, neighbour = here.device("ours"), here.device("neighbour")
    neighbour.deliver(21_500, tick=1)
    here.meets(LOST_REQUEST)
    ours.deliver(21_500, tick=1)
    assert (here.stored("ours"), here.asked()) == (["ours-1"], 1)


def test_a_lost_request_is_sent_again_where_a_neighbours_readings_are_listed_too(site: Make) -> None:
    here = site()
    ours, neighbour = here.device("ours"), here.device("neighbour")
    for tick in (1, 2):
        ours.deliver(20_000 + tick, tick=tick)
        neighbour.deliver(19_000 + tick, tick=tick)
    neighbour.deliver(21_500, tick=3)
    here.meets(LOST_REQUEST)
    ours.deliver(21_500, tick=3)
    assert (here.stored("ours"), here.asked()) == (["ours-1", "ours-2", "ours-3"], 1)


def test_a_lost_request_is_sent_again_where_all_of_a_neighbours_readings_are_doubles(site: Make) -> None:
    here = site()
    ours, neighbour = here.device("ours"), here.device("neighbour")
    for tick in (1, 2, 3):
        ours.deliver(20_000 + tick, tick=tick)
        neighbour.deliver(20_000 + tick, tick=tick)
    neighbour.deliver(21_500, tick=4)
    here.meets(LOST_REQUEST)
    ours.deliver(21_500, tick=4)
    assert (here.stored("ours")[-1], here.asked()) == ("ours-4", 1)


def test_a_lost_answer_repeats_nothing_where_only_this_device_is_listed(site: Make) -> None:
    here = site()
    ours = here.device("ours")
    ours.deliver(20_000, 21_000, tick=1)
    here.meets(LOST_ANSWER)
    ours.deliver(20_500, 21_500, tick=2)
    assert (here.stored("ours"), here.asked()) == (["ours-1", "ours-2", "ours-3", "ours-4"], 1)


def test_a_lost_answer_after_a_restart_repeats_nothing_of_what_an_earlier_process_delivered(site: Make) -> None:
    here = site()
    here.device("ours").deliver(20_000, 21_000, 22_000, tick=1)
    here.devices.pop().close()
    ours = here.device("ours")
    here.meets(LOST_ANSWER)
    ours.deliver(20_500, 21_500, tick=2)
    assert (here.stored("ours"), here.asked()) == ([f"ours-{number}" for number in range(1, 6)], 1)


def test_a_lost_request_after_a_restart_is_sent_again_though_a_neighbour_sent_its_double(site: Make) -> None:
    here = site()
    neighbour = here.device("neighbour")
    here.device("ours").deliver(20_000, tick=1)
    here.devices.pop().close()
    for tick, milli in enumerate((20_000, 21_500), start=1):
        neighbour.deliver(milli, tick=tick)
    ours = here.device("ours")
    here.meets(LOST_REQUEST)
    ours.deliver(21_500, tick=2)
    assert (here.stored("ours"), here.asked()) == (["ours-1", "ours-2"], 1)


def test_a_reading_that_names_its_device_is_known_among_those_of_its_neighbours(site: Make) -> None:
    here = site()
    ours, neighbour = here.device("ours", names_itself=True), here.device("neighbour", names_itself=True)
    neighbour.deliver(21_500, tick=1)
    here.meets(LOST_ANSWER)
    ours.deliver(21_500, tick=1)
    here.meets(LOST_REQUEST)
    neighbour.deliver(22_500, tick=2)
    ours.deliver(22_500, tick=2)
    assert (here.stored("ours"), here.stored("neighbour")) == (["ours-1", "ours-2"], ["neighbour-1", "neighbour-2"])


def test_a_double_that_names_another_device_is_no_proof_for_one_that_names_none(site: Make) -> None:
    here = site()
    ours, neighbour = here.device("ours"), here.device("neighbour", names_itself=True)
    ours.deliver(20_000, tick=1)
    neighbour.deliver(21_500, tick=2)
    here.meets(LOST_REQUEST)
    ours.deliver(21_500, tick=2)
    assert here.stored("ours") == ["ours-1", "ours-2"]


@pytest.mark.parametrize("fault", [LOST_REQUEST, LOST_ANSWER])
def test_a_shield_that_knows_keys_is_sent_the_reading_again_and_not_asked(site: Make, fault: list[str]) -> None:
    here = site("extended")
    ours = here.device("ours")
    ours.deliver(20_000, tick=1)
    here.meets(fault)
    ours.deliver(21_500, tick=2)
    assert (here.stored("ours"), here.asked()) == (["ours-1", "ours-2"], 0)


@pytest.mark.parametrize("fault", [LOST_REQUEST, LOST_ANSWER])
def test_a_shield_that_says_with_its_list_that_it_knows_keys_is_sent_the_reading_again(
    site: Make, fault: list[str]
) -> None:
    here = site("extended")
    here.device("ours").deliver(20_000, tick=1)
    here.devices.pop().close()
    ours = here.device("ours")  # a new process, to which nothing has been announced
    here.meets(fault)
    ours.deliver(21_500, tick=2)
    posts: list[dict[str, Any]] = [row for row in here.shield.requests() if row["method"] == "POST"]
    assert (here.stored("ours"), here.asked(), len(posts)) == (["ours-1", "ours-2"], 1, 3)
