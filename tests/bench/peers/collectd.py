"""collectd: its table plugin reads the kernel's files, write_http posts. Its own JSON, so an API must be made for it."""

import shutil
from pathlib import Path

from bench.peers import Place

NAME = "collectd write_http"
JOB = "reads, posts batches"
DURABLE = "nothing: a failed batch is dropped"
NEEDS = "apt-get install --no-install-recommends collectd-core libyajl2 libcurl3-gnutls"
MODULES = Path("/usr/lib/collectd")
TYPES = Path("/usr/share/collectd/types.db")


def found() -> bool:
    """Whether it is installed."""
    return shutil.which("collectd", path="/usr/sbin:/usr/bin") is not None and (MODULES / "write_http.so").exists()


def command(place: Place) -> list[str]:
    """In the foreground. A buffer of 512 bytes holds about two values: it sends at once, as we do, instead of at 4 KiB."""
    tables = "".join(
        f'<Table "{place.slave(sensor).with_name("temperature")}">\nSeparator " "\nInstance "{sensor}"\n'
        f"<Result>\nType temperature\nValuesFrom 0\n</Result>\n</Table>\n"
        for sensor in place.sensors
    )
    config = place.directory / "collectd.conf"
    config.write_text(
        f'Hostname "sensor-001"\nFQDNLookup false\nInterval {place.interval}\nBaseDir "{place.directory}"\n'
        f'PIDFile "{place.directory}/collectd.pid"\nTypesDB "{TYPES}"\nPluginDir "{MODULES}"\n'
        f"ReadThreads 1\nWriteThreads 1\nLoadPlugin table\nLoadPlugin write_http\n"
        f"<Plugin table>\n{tables}</Plugin>\n"
        f'<Plugin write_http>\n<Node "sink">\nURL "{place.url}"\nFormat "JSON"\nVerifyPeer true\nVerifyHost true\n'
        f'CACert "{place.ca_file}"\nClientCert "{place.certificate}"\nClientKey "{place.key}"\nBufferSize 1024\n'
        "</Node>\n</Plugin>\n"
    )
    return ["/usr/sbin/collectd", "-f", "-C", str(config)]
