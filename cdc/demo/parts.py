"""Everything that the demonstration starts, and ends again."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdc.demo import readback
from cdc.demo.dynamodb import REPLICA_REGION, SOURCE_REGION, TABLE, Endpoint, client, create_table
from cdc.demo.history import history, scan
from cdc.demo.interrupts import Interrupts
from cdc.demo.kafka import Cluster
from cdc.demo.load import Writer
from cdc.demo.orders import Shop
from cdc.demo.proof import Delivered, Found, Verdict, Written, compare_files, compare_items, compare_log
from cdc.demo.values import Item, Key
from cdc.demo.worker import TOPIC, Worker, write_configuration

BUS, LAKE, REPLICA = "bus", "lake", "dr"


@dataclass(frozen=True, slots=True)
class Parts:
    """The servers, a plain client for each, and the pipeline's process."""

    cluster: Cluster
    replica_endpoint: Endpoint
    source: Any
    streams: Any
    replica: Any
    lake: Path
    schemas: readback.SchemaFolder
    writer: Writer
    worker: Worker

    def sighting(self, sink: str, key: Key) -> Item | None:
        """The newest state of an item at a sink, or None if it is not there yet."""
        if sink == REPLICA:
            found = readback.replica(self.replica).get(key)
            return found[1] if found else None
        lanes = self._topic() if sink == BUS else readback.lake(self.lake)
        changes = [
            found.change
            for lane in lanes
            for found in lane
            if isinstance(found, Delivered) and found.change.key == key
        ]
        return max(changes, key=lambda change: change.sequence).after if changes else None

    def history(self) -> list[Written]:
        """Of the source; raises `SourceError`."""
        return history(self.source, self.streams, self.writer.requests)

    def prove(self, written: Sequence[Written]) -> list[Verdict]:
        """Reads all sinks back, from their beginning, and compares."""
        items = scan(self.source)
        return [
            compare_log(f"{BUS}: messages", written, self._topic(), items),
            self.prove_lake(written),
            compare_items(f"{REPLICA}: items", written, items, readback.replica(self.replica)),
        ]

    def prove_lake(self, written: Sequence[Written]) -> Verdict:
        return compare_files(f"{LAKE}: rows", written, readback.lake(self.lake))

    def _topic(self) -> list[list[Found]]:
        return readback.topic(self.cluster.messages(TOPIC), self.schemas)


@contextmanager
def started(folder: Path, interrupts: Interrupts, events: int) -> Iterator[Parts]:
    """All of it but the worker, which is only made; ended in any case, in the right order."""
    with ExitStack() as stack:
        source_endpoint, replica_endpoint = Endpoint(), Endpoint()
        stack.callback(source_endpoint.stop)
        stack.callback(replica_endpoint.stop)
        source = client("dynamodb", SOURCE_REGION, source_endpoint.url)
        streams = client("dynamodbstreams", SOURCE_REGION, source_endpoint.url)
        # The demonstration looks at the replica past the address that it will stop.
        replica = client("dynamodb", REPLICA_REGION, source_endpoint.url)
        for each in (source, streams, replica):
            stack.callback(each.close)
        create_table(source, with_stream=True)
        create_table(replica, with_stream=False)
        cluster = Cluster()
        cluster.create_topic(TOPIC)
        configuration = write_configuration(
            folder,
            source_url=source_endpoint.url,
            replica_url=replica_endpoint.url,
            bootstrap_servers=cluster.bootstrap_servers,
        )
        writer = Writer(source, Shop(TABLE), events)
        stack.callback(writer.end)
        worker = Worker(configuration, folder / "worker.log", interrupts)
        stack.callback(worker.end)
        schemas = readback.SchemaFolder(folder / "schemas")
        yield Parts(
            cluster, replica_endpoint, source, streams, replica, folder / "lake", schemas, writer, worker
        )
