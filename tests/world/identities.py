"""Certificates for tests, from a real authority."""

import functools
import tempfile
from datetime import datetime
from pathlib import Path

from agent import pem
from agent.devshield.authority import Authority


@functools.cache
def authority() -> Authority:
    """One for the whole run: making it costs 30 ms."""
    return Authority.create(Path(tempfile.mkdtemp(prefix="test-authority-")))


def put_pair(
    directory: Path,
    name: str = "sensor-001.devices.example.com",
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> tuple[str, str]:
    """Write a fresh key and certificate of that name into the directory; gives (certificate file, key file)."""
    directory.mkdir(parents=True, exist_ok=True)
    cert, key = directory / "sensor.pem", directory / "sensor-key.pem"
    key_pem = pem.new_key("p256")
    request = pem.signing_request(key_pem, name=name, subject={})
    key.write_bytes(key_pem)
    key.chmod(0o600)
    cert.write_bytes(authority().sign(request, not_before=not_before, not_after=not_after))
    return str(cert), str(key)
