"""Shard iterators: opaque to clients, and all that a read needs to know; they carry their own age."""

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass

from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.requests import invalid


@dataclass(frozen=True, slots=True)
class Iterator:
    stream: str
    shard: str
    index: int
    """Of the next record, counted over all that the shard ever had."""
    issued_at: float
    empty_pages: int = 0
    """In a row, before this one, though there were records."""

    def encode(self) -> str:
        blob = f"{self.shard} {self.index} {self.issued_at!r} {self.empty_pages}"
        return f"{self.stream}|1|{b64encode(blob.encode()).decode()}"


def decode(text: str) -> Iterator:
    """Raises: ServiceError: ValidationException: it is no iterator."""
    stream, separator, blob = text.partition("|1|")
    if not separator:
        raise _none()
    try:
        shard, index, issued_at, empty_pages = b64decode(blob, validate=True).decode().split(" ")
        return Iterator(stream, shard, int(index), float(issued_at), int(empty_pages))
    except (ValueError, binascii.Error):
        raise _none() from None


def _none() -> ServiceError:
    return invalid("Invalid ShardIterator")
