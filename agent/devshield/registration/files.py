"""A record is one small file: on disk before it counts, and the old one or the new one to whoever reads meanwhile."""

import json
import os
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from agent.errors import CannotWrite, ConfigError

Record = TypeVar("Record")


def read(file: Path, kind: type[Record]) -> Record | None:
    """The record of a file, None if there is none. Raises ConfigError for one that is empty or torn."""
    try:
        return kind(**json.loads(file.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{file}: is empty or torn: {error}",
            hint=f"put it back from the backup; without one: mv {file} {file}.torn, and a new token for its device",
        ) from error


def write(file: Path, record: Any) -> None:
    """Write a record."""
    put(file, json.dumps(asdict(record), indent=1).encode(), mode=0o600)


def put(file: Path, content: bytes, *, mode: int) -> None:
    """Write a file. Raises CannotWrite."""
    beside = file.with_name(f"{file.name}.{threading.get_ident()}.new")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(file)
        _settle(file.parent)
    except OSError as error:
        raise CannotWrite(f"{file} cannot be written: {error.strerror}", hint=f"df {file.parent}") from error


def append(file: Path, line: str) -> None:
    """Add a line to a file. Raises CannotWrite, and then a part of the line may be there."""
    try:
        with file.open("a") as stream:
            stream.write(line)
    except OSError as error:
        raise CannotWrite(f"{file} cannot be written: {error.strerror}", hint=f"df {file.parent}") from error


def remove(file: Path) -> None:
    """Remove a file. Raises CannotWrite."""
    try:
        file.unlink()
        _settle(file.parent)
    except OSError as error:
        raise CannotWrite(f"{file} cannot be removed: {error.strerror}", hint=f"ls -ld {file.parent}") from error


def _settle(directory: Path) -> None:
    # else a power cut may bring back what was there before
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
