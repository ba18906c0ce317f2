"""Whatever URL the configuration lets pass, the uplink can begin with; and what it cannot begin with is an answer."""

import itertools

import pytest
from world.identities import authority

from agent.config.sections import UplinkConfig
from agent.config.tables import read_table
from agent.delivery import Verdict
from agent.uplink import Target, Uplink
from agent.uplink.deadline import Deadline
from agent.uplink.post import host_field
from agent.uplink.tls import tls_context, way

CA = str(authority().certificate_file)
CONTEXT = tls_context(CA, Deadline(), "")
# neither right-to-left letters nor signs without their letters: IDNA's rules of context are left to the uplink's answer
PIECES = (
    *(
        "a",
        "Z",
        "0",
        "9",
        "-",
        "_",
        ".",
        "..",
        "--",
        ":",
        "::",
        "::1",
        "[",
        "]",
        "%",
        "%25",
        "%41",
        "\\",
        "@",
        "!",
        "~",
    ),
    *("ü", "ẞ", "ſ", "²", "½", "☃", "ⓔ", "。", "．", "\xad", "\x80", "\x7f", "\x00", "日", "日・", "ﬁ", "İ", "€", "😀"),
    *("127.0.0.1", "xn--", "1:2:3:4:5:6:7", ":0", ":9", ":00009", "localhost", "a" * 63, "ü" * 60, "v1."),
)
HOSTS = [frame.format(x + y) for x, y in itertools.product(PIECES, repeat=2) for frame in ("{}", "a{}.b", "[{}]")]


def passes(url: str, proxy: str) -> bool:
    return read_table(UplinkConfig, {"url": url, "proxy": proxy}, "uplink", []) is not None


def test_a_url_of_the_configuration_can_be_begun_with() -> None:
    fit = [url for host in HOSTS if passes(url := f"https://{host}/ä?x=é%zz", "")]
    for url in fit:
        way(url, "", CONTEXT)
        assert host_field(url).isascii()
    assert len(HOSTS) / 20 < len(fit) < len(HOSTS) / 2


def test_a_proxy_of_the_configuration_can_be_begun_with() -> None:
    proxies = ["http://" + login + host for host in HOSTS for login in ("", f"{host}:{host}@")]
    fit = [proxy for proxy in proxies if passes("https://h", proxy)]
    for proxy in fit:
        way("https://h", proxy, CONTEXT)
    assert len(proxies) / 20 < len(fit) < len(proxies) / 2


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://[::1]x/t", ""),
        ("https://☃.example", ""),
        ("https://[::1", ""),
        ("https://h", "http://€:secret@h:9"),
        ("https://h", "http://u:secret@[::1]x"),
    ],
)
def test_a_url_that_cannot_be_begun_with_is_an_answer_without_its_password(url: str, proxy: str) -> None:
    line = Uplink(Target(url, CA, 5.0, proxy=proxy), None)
    for got in (line.post(b"{}", key="k"), line.get()):
        assert (got.verdict, got.ambiguous) == (Verdict.MISDIRECTED, False)
        assert got.detail.startswith("uplink.url or uplink.proxy cannot be used: ")
        assert "secret" not in got.detail
    line.close()
