"""Headless Chromium with a reader's .p12 in its key store, driven over two pipes by its DevTools protocol.

Its world is a home of its own: who signed the shield's certificate, the reader's key, and that it is shown unasked.
"""

import base64
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"),
    *("--disable-background-networking", "--disable-sync", "--disable-extensions", "--hide-scrollbars"),
)
# the number of a descriptor has to be 3 and 4 there
SHELL = 'exec "$@" 3<&"$FROM_US" 4>&"$TO_US"'
SECONDS = 20.0
PHONE, DESKTOP = (390, 844), (1280, 800)


class Browser:
    """One page. What it is asked and does not answer in time is an error."""

    def __init__(self, to_browser: BinaryIO, from_browser: BinaryIO) -> None:
        self._to = to_browser
        self._from = from_browser
        self._number = 0
        self._session: str | None = None
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._send("Page.enable")

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """The window, and what the system's colours are set to."""
        phone = width < 600
        window = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self._send("Emulation.setDeviceMetricsOverride", **window)
        scheme = "dark" if dark else "light"
        self._send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url: str) -> None:
        """Go there; raises AssertionError if no page comes."""
        answer = self._send("Page.navigate", url=url)
        assert "errorText" not in answer, answer

    def offline(self, *, gone: bool) -> None:
        """Take the network away, or give it back."""
        rates = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self._send("Network.enable")
        self._send("Network.emulateNetworkConditions", offline=gone, **rates)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression, or the promise that it is, comes to; raises AssertionError for what it throws."""
        answer = self._send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str) -> Any:
        """The first true value of the expression."""
        deadline = time.monotonic() + SECONDS
        while not (value := self.value(expression)):
            assert time.monotonic() < deadline, f"{expression} is {value!r}; the page: {self.text()}"
            threading.Event().wait(0.05)
        return value

    def text(self) -> str:
        """What a person reads there."""
        return str(self.value("document.body.innerText"))

    def picture(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self._send("Page.captureScreenshot", format="png")["data"])

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Another page is in front of this one until the end."""
        own, self._session = self._session, None
        other = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = own
        yield
        self._session = None
        self._send("Target.closeTarget", targetId=other)
        self._session = own
        self._send("Page.bringToFront")

    def _send(self, method: str, **values: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while True:
            said = json.loads(self._message())
            if said.get("id") == self._number:
                assert "error" not in said, (method, said)
                result: dict[str, Any] = said["result"]
                return result

    def _message(self) -> bytes:
        whole = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "the browser has ended"
            whole += byte
        return bytes(whole)


@contextmanager
def run(directory: Path, *, ca_file: Path, bundle: Path, password: Path, urls: Sequence[str]) -> Iterator[Browser]:
    """A browser that trusts that authority and shows the bundle's certificate to those servers."""
    home, profile = directory / "home", directory / "profile"
    store = home / ".pki/nssdb"
    store.mkdir(parents=True)
    (profile / "Default").mkdir(parents=True)
    _call("certutil", "-N", "-d", f"sql:{store}", "--empty-password")
    _call("certutil", "-A", "-d", f"sql:{store}", "-n", "shield", "-t", "C,,", "-i", str(ca_file))
    _call("pk12util", "-i", str(bundle), "-d", f"sql:{store}", "-w", str(password), "-K", "")
    (profile / "Default/Preferences").write_text(json.dumps(preferences(urls)))
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "en_GB.UTF-8", "TZ": "Europe/Berlin"}
    command = ["chromium", *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    pipes = {"FROM_US": str(their_in), "TO_US": str(their_out)}
    with (directory / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", SHELL, "browser", *command],
            pass_fds=(their_in, their_out),
            env=environment | pipes,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    os.close(their_in)
    os.close(their_out)
    try:
        with os.fdopen(our_out, "wb") as to_browser, os.fdopen(our_in, "rb") as from_browser:
            yield Browser(to_browser, from_browser)
    finally:
        _end(process)


def preferences(urls: Sequence[str]) -> dict[str, Any]:
    """Those of a profile that shows its certificate there without a question, as the policy of that name would have it."""
    unasked: dict[str, Any] = {f"{url.rstrip('/')},*": {"setting": {"filters": [{}]}} for url in urls}
    return {"profile": {"content_settings": {"exceptions": {"auto_select_certificate": unasked}}}}


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command[0], done.stdout, done.stderr)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """All of the browser's processes, which are a group of their own."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
