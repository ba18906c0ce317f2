"""syslog-ng: reads no sensors, so somebody else appends a line for each reading to a file; keeps them and posts them."""

import shutil
from pathlib import Path

from bench.peers import Place

NAME = "syslog-ng disk buffer"
JOB = "keeps, posts"
DURABLE = "buffer on disk, no fsync"
NEEDS = "apt-get install --no-install-recommends syslog-ng-core syslog-ng-mod-http"


def found() -> bool:
    """Whether it is installed, with its http destination."""
    modules = Path("/usr/lib/syslog-ng")
    return shutil.which("syslog-ng", path="/usr/sbin:/usr/bin") is not None and any(modules.rglob("libhttp.so"))


def command(place: Place) -> list[str]:
    """In the foreground, with the reliable buffer: what is read from the file stands on disk before it is sent."""
    config = place.directory / "syslog-ng.conf"
    buffer = place.directory / "buffer"
    buffer.mkdir(exist_ok=True)
    place.feed.touch()
    config.write_text(
        "@version: 3.38\noptions { stats-freq(0); };\n"
        f'source feed {{ file("{place.feed}" follow-freq(1) flags(no-parse)); }};\n'
        f'destination sink {{ http(url("{place.url}") method("POST") headers("Content-Type: application/json")\n'
        f'  body("$MSG") workers(1) persist-name("sink")\n'
        f'  tls(ca-file("{place.ca_file}") cert-file("{place.certificate}") key-file("{place.key}") peer-verify(yes))\n'
        f'  disk-buffer(reliable(yes) disk-buf-size(10485760) mem-buf-size(1048576) dir("{buffer}"))); }};\n'
        "log { source(feed); destination(sink); flags(flow-control); };\n"
    )
    own = [f"--{name}={place.directory}/{name}" for name in ("persist-file", "pidfile", "control")]
    return ["/usr/sbin/syslog-ng", "-F", f"--cfgfile={config}", "--no-caps", *own]
