"""The configuration: every mistake is found in one pass, and told with its path and the value seen."""

import re
from pathlib import Path

import pytest

from agent.config import Config, load
from agent.errors import ConfigError

CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
URL = '[uplink]\nurl = "https://shield.example.com/temps"\n'


def write(directory: Path, text: str, *, name: str = "config.toml") -> Path:
    """A configuration file beside a CA bundle."""
    (directory / "ca.pem").write_text(CA)
    file = directory / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text.replace("[uplink]\n", f'[uplink]\nca_file = "{directory}/ca.pem"\n'))
    return file


def loaded(directory: Path, text: str) -> Config:
    return load(write(directory, text))


def problems(directory: Path, text: str) -> tuple[str, ...]:
    """What is found wrong, without the name of the file."""
    file = write(directory, text)
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert raised.value.exit_code == 78
    return tuple(problem.removeprefix(f"{file}: ") for problem in raised.value.problems)


def sensor(**keys: object) -> str:
    """A `[[sensors]]` table."""
    written = {"name": "freezer", "driver": "ds18b20", "id": "28-00000586475d"} | keys
    return "[[sensors]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in written.items() if value is not None)


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def test_a_url_and_a_sensor_are_enough(tmp_path: Path) -> None:
    config = loaded(tmp_path, URL + sensor())
    assert config.uplink.timeout_seconds == 20.0
    assert config.spool.window_seconds == 0.0
    assert [each.name for each in config.sensors] == ["freezer"]


def test_a_whole_number_may_stand_for_seconds(tmp_path: Path) -> None:
    assert loaded(tmp_path, URL + "timeout_seconds = 5\n").uplink.timeout_seconds == 5.0


def test_a_window_is_read_as_seconds(tmp_path: Path) -> None:
    assert loaded(tmp_path, URL + '[spool]\ndurability = "90s"\n').spool.window_seconds == 90.0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "uplink.url: is required"),
        ('[uplink]\nurl = "http://a.example/"\n', "uplink.url: must be an https:// URL"),
        ('[uplink]\nurl = "https://user:secret@a.example/"\n', "uplink.url: must be an https:// URL without user"),
        *(
            (f'[uplink]\nurl = "{url}"\n', "uplink.url: must ")
            for url in (
                "https://[::1",
                "https://[::g]/",
                "https://h:99999/",
                "https://h:0/",
                "https://:443/",
                "https://h:x/",
                "https://h:000443/",
                "https://[::1]x/t",
                "https://[1.2]/",
                "https://[v1.x]/",
                "https://☃.example/",
                "https://ⓔxample.com/",
                "https://a。b/",
                "https://kühl_raum.example/",
                "https://-kühl.example/",
                "https://kü--hl.example/",
                "https://\xad/",
                "https://\x80/",
                f"https://{60 * 'ü'}.example/",
                f"https://{64 * 'a'}.example/",
                "https://a..example/",
                "https://.example/",
                "https://h\\\\st/",
                "https://h\\u007fst/",
            )
        ),
        ("[uplink]\nurl = 3\n", "uplink.url: must be a string (got 3)"),
        (URL + "timeout_seconds = 0\n", "uplink.timeout_seconds: must be between 0.1 and 600 (got 0)"),
        (URL + "timeout_seconds = nan\n", "uplink.timeout_seconds: must be between 0.1 and 600 (got nan)"),
        (URL + "timeout_seconds = inf\n", "uplink.timeout_seconds: must be between 0.1 and 600 (got inf)"),
        (URL + "timeout_seconds = true\n", "uplink.timeout_seconds: must be a number (got True)"),
        (URL + f"timeout_seconds = 1{'0' * 400}\n", "uplink.timeout_seconds: must be a number"),
        (URL + 'timeout_seconds = "20"\n', "uplink.timeout_seconds: must be a number (got '20')"),
        (URL + "timeout_secs = 20\n", "uplink.timeout_secs: unknown key, did you mean 'timeout_seconds'?"),
        (URL + "accept_status = [500]\n", "uplink.accept_status: must be between 200 and 299 (got [500])"),
        (URL + "accept_status = [201, 201]\n", "uplink.accept_status: must not name anything twice"),
        (URL + "accept_status = 201\n", "uplink.accept_status: must be a list, each a whole number (got 201)"),
        (URL + 'extra_fields = ["serial"]\n', 'uplink.extra_fields: must be "sensor" or "device" or "seq"'),
        (URL + 'temperature_as = "text"\n', 'uplink.temperature_as: must be "string" or "number" (got \'text\')'),
        (URL + 'proxy = "socks5://x"\n', "uplink.proxy: must be an http:// URL"),
        (URL + 'proxy = "http://x:99999"\n', "uplink.proxy: must have a host name or address"),
        (URL + 'proxy = "http://[::1]x:9"\n', "uplink.proxy: must have a host name or address"),
        (URL + 'proxy = "http://a%zz:9"\n', "uplink.proxy: must have a host name or address"),
        *(
            (
                f"{URL}proxy = 'http://{login}@h:9'\n",
                "uplink.proxy: must have a user and a password of Latin-1 characters",
            )
            for login in ("€:p", "u:%E2%82%AC", "u:%FF", "u:p\\q")
        ),
        (URL + '[spool]\ndurability = "60"\n', 'spool.durability: must be "strict" or a window'),
        (URL + '[spool]\npath = "spool.db"\n', "spool.path: must be an absolute path"),
        (URL + "[spool]\nmax_readings = 1.5\n", "spool.max_readings: must be a whole number (got 1.5)"),
        (URL + '[spool]\ndrop = "newest"\n', 'spool.drop: must be "oldest" or "thin"'),
        (URL + '[device]\nname = "a b"\n', "device.name: must be 1 to 64 letters, digits, dots and hyphens"),
        (URL + f'[device]\nname = "{"a" * 65}"\n', "device.name: must be 1 to 64"),
        (URL + '[enroll.subject]\nC = "Germany"\n', "enroll.subject.C: must be a two-letter country code"),
        (URL + "[enroll]\nsubject = 4\n", "enroll.subject: must be a table (got 4)"),
        (URL + '[clocks]\nunsynchronised = "send"\n', "clocks: unknown key, did you mean 'clock'?"),
        ("device = 3\n" + URL, "device: must be a table (got 3)"),
        ("sensors = 3\n" + URL, "sensors: must be [[sensors]] tables (got 3)"),
        ("sensors = [3]\n" + URL, "sensors[0]: must be a table (got 3)"),
        (URL + "accept_status = []\n", "uplink.accept_status: must name one at least"),
        (URL + sensor(name=None), "sensors[0].name: is required"),
        (URL + sensor(driver="ds18b21"), "sensors[0].driver: unknown, did you mean 'ds18b20'? (got 'ds18b21')"),
        (URL + sensor(id=None), "sensors[0].id: is required by driver 'ds18b20'"),
        (URL + sensor(id="28-00000586475"), 'sensors[0].id: must be a ROM id as "28-00000586475d"'),
        (URL + sensor(id="10-00000586475d"), "sensors[0].id: the family of driver 'ds18b20' is 28-…"),
        (URL + sensor(bus=1), "sensors[0].bus: driver 'ds18b20' takes no such key (got 1)"),
        (URL + sensor(interval_seconds=0), "sensors[0].interval_seconds: must be between 1 and 86400 (got 0)"),
        (URL + sensor(phase_seconds=60), "sensors[0].phase_seconds: must be below interval_seconds 60 (got 60)"),
        (URL + sensor(median_of=3), "sensors[0].median_of: driver 'ds18b20' takes no such key (got 3)"),
        (URL + sensor(driver="tmp102", id=None, median_of=2), "sensors[0].median_of: must be 1, 3 or 5 (got 2)"),
        (URL + sensor(calibration=[1.0, 2.0]), "sensors[0].calibration: must be a list, each a list, each a number"),
        (URL + sensor(calibration=[[0, 0]]), "sensors[0].calibration: must be two points as [[shown, true]"),
        (URL + sensor(calibration=[[0, 0], [60]]), "sensors[0].calibration: must be two points as"),
        (URL + sensor(calibration=[[0, 0], [0.5, 0.5]]), "sensors[0].calibration: must be two points as"),
        (URL + sensor(calibration=[[0, 60], [60, 0]]), "sensors[0].calibration: must be two points as"),
        (URL + sensor(calibration=[[0, 0], [3000, 3000]]), "sensors[0].calibration: must be two points as"),
        (URL + sensor(min_celsius=-60), "sensors[0].min_celsius: may only narrow the rated -55…125 °C"),
        (URL + sensor(min_celsius=5, max_celsius=5), "sensors[0].min_celsius: must be below max_celsius 5 (got 5)"),
        (URL + sensor(driver="tmp117", id=None, address=0x20), "sensors[0].address: a tmp117 is at"),
        (URL + sensor(driver="tmp117", id=None, address=0x90), "sensors[0].address: must be between 8 and 119"),
        (URL + sensor(driver="kernel", id=None), "sensors[0].device: is required by driver 'kernel'"),
    ],
)
def test_a_mistake_is_told_with_its_path_and_value(tmp_path: Path, text: str, problem: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1, found
    assert found[0].startswith(problem)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = '[uplink]\nurl = "http://x"\nretries = 3\n[spool]\nmax_readings = 0\n' + sensor(id="x") + sensor(bus=3)
    found = problems(tmp_path, text)
    assert [problem.split(":")[0] for problem in found] == [
        "uplink.retries",
        "uplink.url",
        "spool.max_readings",
        "sensors[0].id",
        "sensors[1].name",
        "sensors[1].bus",
    ]


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (sensor(id="28-000000000001"), "sensors[1].name: is that of sensors[0] already (got 'freezer')"),
        (sensor(name="attic"), "sensors[1].id: is that of sensors[0] already (got '28-00000586475d')"),
    ],
)
def test_two_sensors_cannot_be_one(tmp_path: Path, second: str, problem: str) -> None:
    assert problems(tmp_path, URL + sensor() + second) == (problem,)


def test_a_double_is_told_beside_other_mistakes(tmp_path: Path) -> None:
    found = problems(tmp_path, URL + sensor(interval_seconds=0) + sensor(driver="nochip") + "[[sensors]]\nid = 3\n")
    assert {problem.split(":")[0] for problem in found} == {
        "sensors[0].interval_seconds",
        "sensors[1].name",
        "sensors[1].id",
        "sensors[1].driver",
        "sensors[2].id",
        "sensors[2].name",
        "sensors[2].driver",
    }


def test_two_chips_cannot_share_an_address(tmp_path: Path) -> None:
    first = sensor(name="a", driver="tmp117", id=None, bus=1)
    second = sensor(name="b", driver="tmp117", id=None, address=0x48)
    assert problems(tmp_path, URL + first + second)[0].startswith("sensors[1].address: is that of sensors[0] already")


def test_chips_of_one_address_on_two_buses_are_two(tmp_path: Path) -> None:
    first = sensor(name="a", driver="tmp117", id=None, bus=1)
    second = sensor(name="b", driver="tmp117", id=None, bus=3)
    assert len(loaded(tmp_path, URL + first + second).sensors) == 2


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml: cannot be read \(No such file or directory\)") as raised:
        load(tmp_path / "config.toml")
    assert raised.value.hint


def test_a_file_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    file = write(tmp_path, URL)
    file.write_bytes(b"name = 'K\xfchlraum'\n")
    with pytest.raises(ConfigError, match=r"is not UTF-8 \(byte 9\)"):
        load(file)


@pytest.mark.parametrize("text", ["[uplink", "a = 1\na = 2\n", "x = 1" + "0" * 5000])
def test_a_file_that_is_not_toml_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is not TOML"):
        load(write(tmp_path, text))


def test_all_unreadable_files_are_told_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, "[uplink")
    write(tmp_path, "= 3", name="conf.d/10-site.toml")
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert len(raised.value.problems) == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot be read, No such file or directory"), ("no certificate\n", "holds no PEM certificate")],
)
def test_a_ca_file_that_cannot_verify_anything_is_told(tmp_path: Path, content: str | None, problem: str) -> None:
    if content is not None:
        (tmp_path / "roots.pem").write_text(content)
    file = tmp_path / "config.toml"
    file.write_text(f'[uplink]\nurl = "https://a.example/"\nca_file = "{tmp_path}/roots.pem"\n')
    with pytest.raises(ConfigError, match=f"uplink.ca_file: {problem}"):
        load(file)


def test_a_ca_file_is_looked_at_beside_other_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[uplink]\nurl = "http://a.example/"\nca_file = "/nowhere"\n[enroll]\nca_file = "/nowhere"\n')
    for issuing, more in ((False, []), (True, ["enroll.ca_file"])):
        with pytest.raises(ConfigError) as raised:
            load(file, issuing=issuing)
        told = [problem.split(": ")[1] for problem in raised.value.problems]
        assert told == ["uplink.url", "uplink.ca_file", *more]


@pytest.mark.parametrize("password", ["s€cret", "s\\ecret", "s%FFecret"])
def test_a_password_that_cannot_be_sent_is_not_told_either(tmp_path: Path, password: str) -> None:
    [told] = problems(tmp_path, f"{URL}proxy = 'http://user:{password}@h:9'\n")
    assert "user:" not in told
    assert "cret" not in told
    assert told.endswith("(got 'http://…@h:9')")


@pytest.mark.parametrize("key", ["url", "proxy"])
def test_a_password_in_a_url_is_told_to_nobody(tmp_path: Path, key: str) -> None:
    text = f'[uplink]\nurl = "https://a.example"\n{key} = "ftp://user:se/cr@et@a.example/"\n'.replace(
        'url = "https://a.example"\nurl', "url"
    )
    found = problems(tmp_path, text)
    assert "cr@et" not in str(found)
    assert "(got 'ftp://…@a.example/')" in found[0]


@pytest.mark.parametrize(
    "text",
    [
        '[[uplink]]\nproxy = "http://user:SECRET@p.example:1"\n',
        'uplink = "https://user:SECRET@p.example"\n',
        URL + 'proxy = ["http://user:SECRET@p.example:1"]\n',
        URL + 'proxy = {url = "http://user:SECRET@p.example:1"}\n',
        URL + 'proxy = "user:SECRET@p.example:1"\n',
        URL + 'proxy = "http:/user:SECRET@p.example:1"\n',
        URL + '[[sensors]]\nname = "a"\ndriver = "https://user:SECRET@p.example"\n',
        URL + '[[enroll]]\ntoken = "SECRET"\n',
    ],
)
def test_a_secret_in_the_wrong_place_is_told_to_nobody(tmp_path: Path, text: str) -> None:
    assert "SECRET" not in str(problems(tmp_path, text))


def test_a_mistake_is_looked_for_in_the_file_that_it_is_in(tmp_path: Path) -> None:
    file = write(tmp_path, URL + "retries = 1\n" + sensor() + "[enroll.subject]\nC = 'DE'\n")
    (tmp_path / "conf.d").mkdir()
    site = '[uplink]\ntimeout_seconds = -1\n[enroll.subject]\nC = "x"\n[[sensors]]\nname = "freezer"\nbus = 1\n'
    (tmp_path / "conf.d" / "10-site.toml").write_text(site + "[[sensors]]\ndriver = 'simulated'\n[clocks]\n")
    (tmp_path / "conf.d" / "20-site.toml").write_text("[[sensors]]\nname = 'freezer'\noffset_celsius = 1000\n")
    with pytest.raises(ConfigError) as raised:
        load(file)
    told = {problem.split(": ")[1]: Path(problem.split(": ")[0]).name for problem in raised.value.problems}
    assert told == {
        "clocks": "10-site.toml",
        "uplink.retries": "config.toml",
        "uplink.timeout_seconds": "10-site.toml",
        "enroll.subject.C": "10-site.toml",
        "sensors[0].bus": "10-site.toml",
        "sensors[0].offset_celsius": "20-site.toml",
        "sensors[1].name": "10-site.toml",
    }
    assert raised.value.hint.startswith(f"mend {tmp_path}/conf.d/10-site.toml, then:")


@pytest.mark.parametrize(("text", "site"), [("", "[spool]\n"), ("[spool]\n", ""), ("[uplink]\n", "[uplink]\n")])
def test_a_missing_key_is_told_of_the_first_file(tmp_path: Path, text: str, site: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10-site.toml").write_text(site)
    with pytest.raises(ConfigError, match=re.escape(f"{file}: uplink.url: is required")):
        load(file)


def test_drop_ins_that_cannot_be_listed_are_not_passed_over(tmp_path: Path) -> None:
    file = write(tmp_path, URL)
    (tmp_path / "conf.d").write_text("")
    with pytest.raises(ConfigError, match=r"conf\.d: cannot be read \(Not a directory\)"):
        load(file)


def test_an_editors_lock_is_no_drop_in(tmp_path: Path) -> None:
    file = write(tmp_path, URL)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / ".#10-site.toml").symlink_to("somebody@somewhere.1234")
    assert load(file).uplink.url


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    file = write(tmp_path, URL)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load(file).uplink.url


def test_a_drop_in_overrides_single_keys(tmp_path: Path) -> None:
    file = write(tmp_path, URL + "timeout_seconds = 5\n[spool]\nmax_readings = 7\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10-site.toml").write_text("[uplink]\ntimeout_seconds = 9\n")
    config = load(file)
    assert (config.uplink.timeout_seconds, config.uplink.url) == (9.0, "https://shield.example.com/temps")
    assert config.spool.max_readings == 7


def test_drop_ins_are_laid_over_in_name_order(tmp_path: Path) -> None:
    file = write(tmp_path, URL)
    (tmp_path / "conf.d").mkdir()
    for name, seconds in (("20-b.toml", 2), ("10-a.toml", 1), ("30-c.toml.disabled", 3)):
        (tmp_path / "conf.d" / name).write_text(f"[uplink]\ntimeout_seconds = {seconds}\n")
    assert load(file).uplink.timeout_seconds == 2.0


def test_a_drop_in_reaches_into_nested_tables(tmp_path: Path) -> None:
    file = write(tmp_path, URL + '[enroll.subject]\nC = "DE"\nO = "Lab"\n')
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.toml").write_text('[enroll.subject]\nO = "Field"\n')
    subject = load(file).enroll.subject
    assert (subject.C, subject.O) == ("DE", "Field")


def test_sensors_of_one_name_are_merged(tmp_path: Path) -> None:
    file = write(tmp_path, URL + sensor() + sensor(name="attic", id="28-000000000001"))
    (tmp_path / "conf.d").mkdir()
    added = sensor(name="cellar", id="28-000000000002")
    (tmp_path / "conf.d" / "a.toml").write_text('[[sensors]]\nname = "freezer"\noffset_celsius = 0.5\n' + added)
    sensors = load(file).sensors
    assert [each.name for each in sensors] == ["freezer", "attic", "cellar"]
    assert (sensors[0].offset_celsius, sensors[0].id) == (0.5, "28-00000586475d")


@pytest.mark.parametrize("name", ["[1]", "3", "{a = 1}"])
def test_a_name_that_is_none_is_told_and_merges_with_nothing(tmp_path: Path, name: str) -> None:
    file = write(tmp_path, URL + f"[[sensors]]\nname = {name}\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.toml").write_text(f"[[sensors]]\nname = {name}\n")
    with pytest.raises(ConfigError, match=r"sensors\[1\].name: must be a string"):
        load(file)


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1]:8443/t",
        "https://[::ffff:192.0.2.1]/",
        "https://192.0.2.1/",
        "https://h",
        "https://h.:/",
        "https://ex_ample-1.example/",
        "https://kühl.example/t?x=1",
        "https://KÜHL.example/",
        "https://faß.example/",
        "https://हिन्दी.example/",
        "https://日本・語.example/",
        "https://יו״ר.example/",
        f"https://{'a' * 63}.example/",
    ],
)
def test_a_url_with_any_kind_of_host_is_accepted(tmp_path: Path, url: str) -> None:
    assert loaded(tmp_path, f'[uplink]\nurl = "{url}"\n').uplink.url == url


@pytest.mark.parametrize(
    "proxy",
    ["http://[::1]:3128", "http://[fe80::1%25eth0]:3128/", "http://bücher.example", "http://ü:p%5C%C3%BC@x@h:9"],
)
def test_a_proxy_with_any_kind_of_host_is_accepted(tmp_path: Path, proxy: str) -> None:
    assert loaded(tmp_path, f'{URL}proxy = "{proxy}"\n').uplink.proxy == proxy
