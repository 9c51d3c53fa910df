"""The sink: batches in, guarded writes out."""

from collections.abc import Collection
from concurrent.futures import Future

from cdc.connector import SinkContext
from cdc.errors import ErrorKind, SinkError
from cdc.model import EncodedBatch, ShardKey, Stream
from cdc.ports import Receipt
from cdc.receipts import Receipts
from connectors.replica import ReplicaConfig
from connectors.replica.item_writer import BUDGET_SECONDS, ItemWriter
from connectors.replica.plan import Target, plan
from connectors.replica.pool import WritePool, answer, when_durable
from connectors.replica.tables import TableDescription, Tables, check_source
from connectors.replica.transport import Answer, Transport, dynamodb_client, open_session
from connectors.replica.wire import Wire

DAY_SECONDS = 24 * 3600


class ReplicaSink:
    """Writes changes to another table, guarded by versions (`connectors.replica.guard`).

    Keeps no positions: a change that comes again meets its own version. Different items overtake each other.

    Args:
        config: of this sink.
        context: its surroundings.
        budget_seconds: how long one request is tried before its batch is handed back.
    """

    def __init__(
        self, config: ReplicaConfig, context: SinkContext, *, budget_seconds: float = BUDGET_SECONDS
    ) -> None:
        self.name = config.name
        self._config = config
        self._context = context
        self._transport: Transport | None = None
        self._replicas: dict[str, TableDescription] = {}
        self._targets: dict[str, Target] = {}
        self._receipts = Receipts()
        writer = ItemWriter(
            self._post,
            context.clock,
            tombstone_seconds=config.tombstone_days * DAY_SECONDS,
            budget_seconds=budget_seconds,
        )
        self._pool = WritePool(writer.advance, self._receipts, context.clock, in_flight=config.max_in_flight)

    def open(self) -> None:
        """Finds the replicas, and the tombstones or creates them.

        Raises:
            SinkError: `NOT_FOUND`, `ACCESS_DENIED`, `UNAVAILABLE`, `THROTTLED`, `CONFIGURATION`.
        """
        config = self._config
        session = open_session(config)
        client = dynamodb_client(session, region=config.region, endpoint_url=config.endpoint_url)
        try:
            tables = Tables(client, self._context.count_call)
            names = [config.replica_of(table) for table in self._context.tables]
            replicas = {name: tables.replica(name) for name in names}
            tables.tombstones(config.tombstone_table(self._context.pipeline), create=config.tombstones.create)
        finally:
            client.close()
        if self._transport is not None:
            self._transport.close()
        self._transport = Transport(
            session,
            endpoint_url=client.meta.endpoint_url,
            region=client.meta.region_name,
            connections=config.max_in_flight,
            count_call=self._context.count_call,
        )
        self._replicas = replicas
        self._targets.clear()
        self._pool.start(self._context.executor)

    def claim(self, shards: Collection[ShardKey]) -> None:
        """Answers None: versions fence, not claims."""
        self.release(shards)

    def write(self, batch: EncodedBatch) -> Receipt:
        entry = self._receipts.take(batch)
        if isinstance(entry, Receipt):
            return entry
        try:
            target = self._target(batch.batch.stream)
        except SinkError as error:
            self._receipts.fail(entry, error)
            return entry.receipt
        # Those that an encoder refused are the engine's business; a sink that takes changes raw meets none as a rule.
        refused = {reject.sequence for reject in batch.rejects}
        changes = [change for change in batch.batch.changes if change.sequence not in refused]
        self._pool.submit(entry, *plan(batch.batch, changes, target))
        return entry.receipt

    def flush(self, *, deadline: float) -> "Future[None]":
        accepted = [entry for entry in self._receipts.undurable() if entry.receipt.accepted.done()]
        done = when_durable(accepted)
        if not done.done():
            late = SinkError(ErrorKind.UNAVAILABLE, "the replica did not take everything before the deadline")
            self._pool.call_at(self._context.clock.now().monotonic + deadline, lambda: answer(done, late))
        return done

    def release(self, shards: Collection[ShardKey]) -> None:
        for shard in shards:
            self._receipts.forget(shard)
            self._pool.forget(shard)

    def close(self, *, deadline: float) -> None:
        """Waits for the calls that are being made; one that gets no answer ends with its timeout at the latest."""
        self._pool.close(deadline)
        self._receipts.abandon()
        if self._transport is not None:
            self._transport.close()

    def _post(self, operation: str, body: bytes) -> Answer:
        if self._transport is None:
            raise SinkError(ErrorKind.UNAVAILABLE, "the sink is not open")
        return self._transport.post(operation, body)

    def _target(self, stream: Stream) -> Target:
        """Where the changes of this stream go. Checked once per stream.

        Raises:
            SinkError: `CONFIGURATION`.
        """
        target = self._targets.get(stream.arn)
        if target is None:
            name = self._config.replica_of(stream.table)
            replica = self._replicas.get(name)
            if replica is None:
                message = f"no replica of the table {stream.table} was opened"
                raise SinkError(ErrorKind.CONFIGURATION, message)
            check_source(stream, replica, aws=self._config.endpoint_url is None)
            tombstones = self._config.tombstone_table(self._context.pipeline)
            target = Target(name, stream.key, Wire(name, tombstones, stream.key[0].name))
            self._targets[stream.arn] = target
        return target
