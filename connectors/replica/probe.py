"""What `cdc check` finds out about replicas and tombstones, without changing anything."""

from collections.abc import Iterator, Sequence

from cdc.aws_probe import Calls, ServerClock, is_refusal
from cdc.connector import Estimate, Note, Seen, SinkContext
from cdc.errors import ErrorKind, SinkError
from connectors.replica import ReplicaConfig
from connectors.replica.tables import Tables, check_source, check_tombstones, key_text, tombstones_remedy
from connectors.replica.transport import dynamodb_client, open_session

UPDATE_UNITS, TRANSACTION_UNITS = 1, 4
"""Write units of one change of an item of up to 1 KB, its version included: an update is one write; an insert and a
delete are transactions of the item and its tombstone, at twice the units of each (Developer Guide, Managing complex
workflows with DynamoDB transactions: capacity management)."""
MILLION = 1_000_000


def probe(config: ReplicaConfig, context: SinkContext) -> Sequence[Seen]:
    """
    Raises:
        SinkError: `CONFIGURATION`, `ACCESS_DENIED`: there can be no calls.
    """
    session = open_session(config)
    watch, calls = ServerClock(context.clock), Calls("dynamodb")
    watch.attach(session)
    client = dynamodb_client(session, region=config.region, endpoint_url=config.endpoint_url)
    seen: list[Seen] = []
    try:
        tables = Tables(client, calls.counting(context.count_call))
        for look in (_replicas, _tombstones):
            for one in look(tables, config, context, calls):
                if isinstance(one, SinkError):
                    calls.refused(one)
                seen.append(one)
            if any(isinstance(one, SinkError) and one.kind is ErrorKind.UNAVAILABLE for one in seen):
                break  # the other would take as long
    finally:
        client.close()
    return [*seen, *watch.notes(client.meta.endpoint_url), *calls.seen, *_estimates()]


def _replicas(tables: Tables, config: ReplicaConfig, context: SinkContext, calls: Calls) -> Iterator[Seen]:
    streams = {stream.table: stream for stream in context.streams}
    for source in context.tables:
        calls.about({"DescribeTable": config.table_arn(config.replica_of(source))})
        try:
            replica = tables.replica(config.replica_of(source))
            yield f"replica {replica.name} of {source}: {replica.status}, key {key_text(replica.key)}"
            if source in streams:
                check_source(streams[source], replica, aws=config.endpoint_url is None)
        except SinkError as error:
            yield error
            if error.kind is ErrorKind.UNAVAILABLE:
                return


def _tombstones(tables: Tables, config: ReplicaConfig, context: SinkContext, calls: Calls) -> Iterator[Seen]:
    name = config.tombstone_table(context.pipeline)
    arn, create = config.table_arn(name), config.tombstones.create
    calls.about({"DescribeTable": arn, **({"DescribeTimeToLive": arn} if create else {})})
    try:
        table = tables.describe(name)
        if table is None:
            if create:
                yield f"tombstones {name}: does not exist, will be created (on demand, TTL)"
            else:
                message = f"there is no table {name} for the tombstones"
                yield SinkError(ErrorKind.NOT_FOUND, message, remedy=tombstones_remedy(name))
            return
        check_tombstones(table)
    except SinkError as error:
        yield error
        return
    try:
        on = tables.has_ttl(name)
    except SinkError as error:
        # Whoever creates no tombstones needs no permission to ask for their TTL.
        if create or not is_refusal(error):
            yield error
        else:
            yield f"tombstones {name}: {table.status}; whether TTL is on may not be asked (DescribeTimeToLive)"
        return
    if on or create:
        yield f"tombstones {name}: {table.status}, TTL {'on' if on else 'off: it will be switched on'}"
    else:
        yield Note(
            f"tombstones {name}: {table.status}, TTL off: tombstones are kept for ever until it is on",
            "warning",
            tombstones_remedy(name),
        )


def _estimates() -> Iterator[Estimate]:
    basis = "items up to 1 KB: 1 for an update, 4 for an insert or a delete (transactions)"
    yield Estimate(
        "write units",
        UPDATE_UNITS * MILLION,
        TRANSACTION_UNITS * MILLION,
        "million changes",
        f"{basis}; per further KB 1, or 2",
    )
    yield Estimate("write units", UPDATE_UNITS, TRANSACTION_UNITS, "write unit of the source", basis)
