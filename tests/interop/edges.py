"""Mutual-TLS edges in front of the runtime: nginx under three rules, and Caddy, which knows no revocation.

strict     403 for who is not verified or is revoked, the rule to have
default    403 for who is not verified, as Cloudflare's template has it: a revoked certificate gets in
plain      nginx's own `ssl_verify_client on`, which answers 400
caddy      403 for who shows nothing; what does not verify ends in a TLS alert
"""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from world.visitors import Pair, ask, connection

from agent.devshield.authority import Authority

NAMES = ("strict", "default", "plain", "caddy")

NGINX = """\
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{}}
http {{
    access_log {directory}/access.log;
    client_body_temp_path {directory}/temp-body;
    proxy_temp_path {directory}/temp-proxy;
    fastcgi_temp_path {directory}/temp-fastcgi;
    uwsgi_temp_path {directory}/temp-uwsgi;
    scgi_temp_path {directory}/temp-scgi;
    keepalive_timeout 400s;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_client_certificate {directory}/trusted.pem;
    ssl_session_cache off;
    ssl_session_tickets off;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header CF-Connecting-IP $remote_addr;
    proxy_set_header Shown-Certificate $ssl_client_escaped_cert;
    proxy_set_header Shown-Verified $ssl_client_verify;
    server {{
        listen 127.0.0.1:{strict} ssl;
        ssl_verify_client optional;
        ssl_crl {directory}/revoked.pem;
        error_page 495 496 = @blocked;
        location @blocked {{ return 403 "blocked"; }}
        location / {{
            if ($ssl_client_verify != SUCCESS) {{ return 403 "blocked"; }}
            proxy_pass http://127.0.0.1:{upstream};
        }}
    }}
    server {{
        listen 127.0.0.1:{default} ssl;
        ssl_verify_client optional;
        error_page 495 496 = @blocked;
        location @blocked {{ return 403 "blocked"; }}
        location / {{
            if ($ssl_client_verify != SUCCESS) {{ return 403 "blocked"; }}
            proxy_pass http://127.0.0.1:{upstream};
        }}
    }}
    server {{
        listen 127.0.0.1:{plain} ssl;
        ssl_verify_client on;
        ssl_crl {directory}/revoked.pem;
        location / {{ proxy_pass http://127.0.0.1:{upstream}; }}
    }}
}}
"""
CADDY = """\
{{
    admin off
    auto_https off
    skip_install_trust
    servers {{
        strict_sni_host insecure_off
    }}
    log {{
        output file {directory}/caddy.log
    }}
}}
https://:{caddy} {{
    bind 127.0.0.1
    tls {certificate} {key} {{
        client_auth {{
            mode verify_if_given
            trusted_ca_cert_file {directory}/trusted.pem
        }}
    }}
    @nobody expression `{{http.request.tls.client.fingerprint}} == null`
    respond @nobody "blocked" 403
    reverse_proxy 127.0.0.1:{upstream} {{
        header_up CF-Connecting-IP {{remote_host}}
    }}
}}
"""


class Upstream(Protocol):
    """What an edge passes requests on to: plain HTTP on loopback."""

    @property
    def port(self) -> int:
        """Its port."""


class Edges:
    """All edges of one directory, trusting the authority in it."""

    def __init__(self, directory: Path, runtime: Upstream, authority: Authority, server: Pair) -> None:
        self._directory = directory
        self._authority = authority
        self._revoked: list[int] = []
        self.ports = dict(zip(NAMES, free_ports(len(NAMES)), strict=True))
        self._trusted = directory / "trusted.pem"
        shutil.copy(authority.certificate_file, self._trusted)
        self._write_revoked()
        values: dict[str, object] = {
            **self.ports,
            "directory": directory,
            "upstream": runtime.port,
            "certificate": server[0],
            "key": server[1],
            "user": "user root;" if os.geteuid() == 0 else "",
        }
        (directory / "nginx.conf").write_text(NGINX.format(**values))
        (directory / "Caddyfile").write_text(CADDY.format(**values))
        self._programs: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """All of them answer when this returns."""
        self._start("nginx", "/usr/sbin/nginx", "-p", str(self._directory), "-c", str(self._directory / "nginx.conf"))
        self._start_caddy()
        self._await_ports()

    def url(self, name: str) -> str:
        """Where the agent posts to."""
        return f"https://127.0.0.1:{self.ports[name]}/temps"

    def status(self, name: str, shown: Pair | None) -> int | str:
        """What the edge answers to a POST with that pair; "tls" when it ends the handshake or the connection."""
        to = connection(self._authority.certificate_file, self.ports[name], shown)
        try:
            return ask(to).status
        except (OSError, http.client.HTTPException):
            return "tls"
        finally:
            to.close()

    def answered(self) -> list[str]:
        """The statuses that nginx has passed on, in their order."""
        return re.findall(r'" ([0-9]{3}) ', (self._directory / "access.log").read_text())

    def revoke(self, serials: Sequence[int]) -> None:
        """Put those certificates on the list that nginx reads; in force for each new connection when this returns."""
        self._revoked += serials
        self._write_revoked()
        self._reload()

    def trust(self, certificate_file: Path) -> None:
        """Trust that authority alone from now on."""
        shutil.copy(certificate_file, self._trusted)
        self._write_revoked()
        self._reload()
        _end(self._programs["caddy"])
        self._start_caddy()
        self._await_ports()

    def close(self) -> None:
        """End the programs."""
        for process in self._programs.values():
            _end(process)

    def _reload(self) -> None:
        """nginx has read its files anew when workers of before are gone."""
        nginx = self._programs["nginx"]
        before = children(nginx.pid)
        nginx.send_signal(signal.SIGHUP)
        until(lambda: not before & children(nginx.pid) and children(nginx.pid), "nginx takes no new files")

    def _start_caddy(self) -> None:
        self._start("caddy", "/usr/bin/caddy", "run", "--config", str(self._directory / "Caddyfile"))

    def _start(self, name: str, *command: str) -> None:
        environment = {**os.environ, "XDG_DATA_HOME": str(self._directory), "XDG_CONFIG_HOME": str(self._directory)}
        with (self._directory / f"{name}.out").open("ab") as out:
            self._programs[name] = subprocess.Popen(command, stdout=out, stderr=out, env=environment)

    def _await_ports(self) -> None:
        def all_answer() -> bool:
            for process in self._programs.values():
                assert process.poll() is None, self._words()
            return all(_answers(port) for port in self.ports.values())

        until(all_answer, "an edge does not listen")

    def _words(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self._directory.glob("*.out")))

    def _write_revoked(self) -> None:
        """The list that the trusted authority would sign (RFC 5280 §5)."""
        authority = self._authority
        if self._trusted.read_bytes() != authority.certificate_pem:
            authority = Authority.open(self._directory / "foreign")
        now = datetime.now(UTC).replace(microsecond=0)
        key = serialization.load_pem_private_key(authority.key_file.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(x509.load_pem_x509_certificate(authority.certificate_pem).subject)
            .last_update(now - timedelta(minutes=5))
            .next_update(now + timedelta(days=1))
        )
        for serial in self._revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
            builder = builder.add_revoked_certificate(entry)
        signed = builder.sign(key, hashes.SHA256())
        (self._directory / "revoked.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))


@contextmanager
def run(directory: Path, runtime: Upstream, authority: Authority, server: Pair) -> Iterator[Edges]:
    """The edges, ready; `server` is the pair that all of them show."""
    directory.mkdir()
    Authority.create(directory / "foreign")
    made = Edges(directory, runtime, authority, server)
    try:
        made.start()
        yield made
    finally:
        made.close()


def free_ports(count: int) -> list[int]:
    """Ports that the kernel has just given and taken back."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def children(pid: int) -> set[int]:
    """Process ids of a process's children."""
    return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def until(happens: object, complaint: str, *, seconds: float = 15.0) -> None:
    """Wait until the function gives something true."""
    assert callable(happens)
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, complaint
        threading.Event().wait(0.02)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
