"""What the sink needs of the place where a lake lies. A folder (`connectors.lake.folder`) and a bucket
(`connectors.lake.s3`) have it."""

import re
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from connectors.lake.partition import Partition

Data = bytes | bytearray


@dataclass(frozen=True, slots=True)
class Terms:
    """How a storage wants its files to be written."""

    chunk_bytes: int
    """How many bytes are gathered for one `NewFile.write`; 0: as they come."""
    least_chunk_bytes: int
    """Fewer than these it takes only as the end of a file."""
    memory_bytes: float
    """How much may be in memory: half of it in files in progress, half on its way."""
    attempts: int
    """How often a call is made that failed for a passing reason; 1: after a failure a file is lost."""
    threads: int
    """How many files are written at once, beside the sink's thread; 0: on the thread that asks."""


class NewFile(Protocol):
    """A file that no reader sees before it is published. Calls come one after the other, from any thread.

    All raise `SinkError`. Where `Terms.attempts` allow it, a call that failed is made again, with the same data.
    """

    def write(self, data: Data) -> None:
        """The next bytes; at least `Terms.least_chunk_bytes`."""
        ...

    def seal(self, data: Data) -> None:
        """The last bytes, however few; only `publish` or `abandon` follow."""
        ...

    def publish(self) -> None:
        """Makes the file visible, whole; when this returns it is durable."""
        ...

    def abandon(self) -> None:
        """Gives the file up, and the room that it takes; what cannot be removed now is a leftover. Raises nothing for
        what the outside does."""
        ...


class Storage(Protocol):
    """What one writer does to the place. All raise `SinkError`."""

    place: str
    """What messages call it."""
    terms: Terms

    def open(self) -> None:
        """Begins a new writer, and finds out whether the place is there. What an earlier one left is left alone."""
        ...

    def remove_leftovers(self) -> None:
        """Removes what other writers of this owner left in progress, and nothing of other owners; only for the one that
        owns the lake now."""
        ...

    def create(self, partition: Partition) -> NewFile: ...

    def close(self) -> None: ...


class Names:
    """Names of files: `{pipeline}.{sink}.{writer}-{uuid}.avro`, none of them ever used twice.

    The owner is `{pipeline}.{sink}`: names of pipelines and sinks have no dots, so that nobody else's file can look like
    its own. A writer is one opening of a sink.
    """

    def __init__(self, pipeline: str, sink: str) -> None:
        self.owner = f"{pipeline}.{sink}"
        self._own = re.compile(rf"{re.escape(self.owner)}\.([0-9a-f]+)-[0-9a-f-]{{36}}\.avro")
        self.writer = ""

    def begin_writer(self) -> None:
        self.writer = uuid4().hex[:12]

    def new(self) -> str:
        return f"{self.owner}.{self.writer}-{uuid4()}.avro"

    def is_of_an_earlier_writer(self, name: str) -> bool:
        own = self._own.fullmatch(name)
        return own is not None and own[1] != self.writer
