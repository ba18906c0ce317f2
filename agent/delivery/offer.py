"""What a shield says that it takes beside single readings: announced in the headers of its answers, never assumed."""

from typing import Final

from agent.record import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """`most` readings in one request (fewer than two: singles only), and whether they may come as gzip (RFC 7694)."""

    most: int = 0
    gzip: bool = False

    @property
    def keys(self) -> bool:
        """Whether the shield knows a reading by its key: who takes batches does, for their items carry them."""
        return self.most > 0


NOTHING: Final = Offer()
MOST: Final = 4000  # shortest items in a request's 256 KiB; as many readings are loaded to choose from


def offer(batch: str | None, encodings: str | None) -> Offer:
    """The offer in the values of `Sensor-Batch` and `Accept-Encoding`, as far as it can be of use; what cannot be read
    offers nothing.
    """
    text = batch.strip() if batch else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        return NOTHING
    return Offer(min(int(text), MOST), any(_takes_gzip(each) for each in (encodings or "").split(",")))


def _takes_gzip(element: str) -> bool:
    name, _, weight = element.replace(" ", "").lower().partition(";")
    return name == "gzip" and (not weight or bool(weight.removeprefix("q=").strip("0.")))
