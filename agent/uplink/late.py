"""An uplink that is made by its first request: until a reading is on flash, nobody waits for the HTTP library."""

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from agent.delivery import Answer
    from agent.uplink.post import Uplink


class LateUplink:
    """Like the Uplink that `make` gives. For one thread, but for `stop` and `abort`."""

    def __init__(self, make: "Callable[[], Uplink]") -> None:
        self._make = make
        self._made: Uplink | None = None
        self._aborted = False
        self._lock = threading.Lock()

    def post(self, body: bytes, *, key: str) -> "Answer":
        """As Uplink.post."""
        return self._uplink().post(body, key=key)

    def post_batch(self, items: "Sequence[bytes]", *, gzip: bool) -> "Answer":
        """As Uplink.post_batch."""
        return self._uplink().post_batch(items, gzip=gzip)

    def recent(self) -> "tuple[Answer, list[Any]]":
        """As Uplink.recent."""
        return self._uplink().recent()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._made is not None:
            self._made.close()

    def stop(self) -> bool:
        """As Uplink.stop; while the HTTP library is being imported nothing is in flight, however long that takes."""
        with self._lock:
            self._aborted = self._aborted or self._made is None
            return self._made is not None and self._made.stop()

    def abort(self) -> None:
        """End the request in flight, and every later one, at once; from any thread."""
        with self._lock:
            self._aborted = True
            if self._made is not None:
                self._made.abort()

    def _uplink(self) -> "Uplink":
        if self._made is None:
            made = self._make()  # imports for a tenth of a second and more, so not under the lock
            with self._lock:
                self._made = made
                if self._aborted:
                    made.abort()
        return self._made
