"""Takes every POST over mutual TLS with a 201 and counts readings: python tests/bench/sink.py DIRECTORY COUNTS.

In a process of its own, so that its CPU is nobody's. COUNTS holds readings and requests as two numbers, and the port
stands in it first. Any JSON will do: an array counts its elements, since collectd cannot be told another form.
"""

import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from agent.devshield.authority import open_or_create


class Sink(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    counts: ClassVar[Path]
    readings: ClassVar[int] = 0
    requests: ClassVar[int] = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        found = json.loads(body)
        Sink.requests += 1
        Sink.readings += len(found) if isinstance(found, list) else 1
        self.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        note()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def note() -> None:
    """Counts where the bench looks, in one write."""
    Sink.counts.write_text(f"{Sink.readings} {Sink.requests}")


def main() -> None:
    directory, Sink.counts = map(Path, sys.argv[1:])
    authority = open_or_create(directory)
    key, certificate = authority.issue_server(("127.0.0.1", "localhost"))
    (directory / "sink-key.pem").write_bytes(key)
    (directory / "sink.pem").write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "sink.pem", directory / "sink-key.pem")
    context.load_verify_locations(authority.certificate_file)
    context.verify_mode = ssl.CERT_REQUIRED
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        note()
        print(server.server_port, authority.certificate_file, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
