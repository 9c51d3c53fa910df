"""What `cdc check` finds out about the source: by read-only calls, one line for each thing seen."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from cdc.aws_probe import Calls, Neighbours, ServerClock
from cdc.connector import Estimate, Seen, SourceContext
from cdc.errors import ErrorKind, SourceError
from cdc.model import BEGINNING, RETENTION_SECONDS, Shard, Stream
from connectors.dynamodb_streams.api import Api
from connectors.dynamodb_streams.config import DynamoDBStreamsConfig
from connectors.dynamodb_streams.permissions import OPERATIONS_OF_A_STREAM, stream_arn, table_arn
from connectors.dynamodb_streams.readers import other_readers, write_units
from connectors.dynamodb_streams.source import DynamoDBStreams

DAY_SECONDS = 24 * 3600
RELIST_SECONDS = 60
"""How often a run lists tables and streams anew (`cdc.core.world.Settings`; a test compares)."""
ROLLOVERS_A_DAY = 6
"""A shard is closed and followed by another about every four hours."""
SHARDS_A_PAGE = 100
"""API reference, DescribeStream, Limit."""
OLDEST_SHARDS = 4
"""So many of the oldest shards of a table are read, a page each."""


def probe(config: DynamoDBStreamsConfig, context: SourceContext) -> Sequence[Seen]:
    """Makes every kind of call that a run makes, so that a missing permission shows here.

    Raises:
        SourceError: `CONFIGURATION`, `ACCESS_DENIED`: there can be no calls.
    """
    watch, calls = ServerClock(context.clock), Calls("dynamodb")
    counted = replace(context, count_call=calls.counting(context.count_call))
    api = Api(config, counted, prepare=watch.attach)
    source = DynamoDBStreams(config, api)
    now = context.clock.now().wall
    seen: list[Seen] = []
    streams: list[Stream] = []
    still_open = listings = 0
    answers: list[str] = []
    try:
        for table in config.tables:
            try:
                calls.about(_resources(config, table))
                stream = source.stream(table)
                streams.append(stream)
                shards = source.shards(stream).shards
                answers = [f"endpoint {api.streams_endpoint} answers, the credentials are valid"]
                still_open += sum(not shard.closed for shard in shards)
                listings += max(1, -(-len(shards) // SHARDS_A_PAGE))
                seen += _stream_notes(source, stream, shards, now)
            except SourceError as error:
                calls.refused(error)
                seen.append(error)
                if error.kind is ErrorKind.UNAVAILABLE:
                    break  # the others would take as long
    finally:
        source.close()
    seen = [*answers, *watch.notes(api.streams_endpoint), *streams, *seen, *calls.seen]
    if streams:
        neighbours = Neighbours(config, f"cdc-{context.pipeline}")
        seen += other_readers(neighbours, streams)
        seen += _estimates(config, still_open, listings)
        seen += write_units(neighbours, streams, now)
        seen += neighbours.unasked()
    return seen


def _resources(config: DynamoDBStreamsConfig, table: str) -> dict[str, str]:
    """By operation."""
    of_stream = stream_arn(config, table)
    return {"DescribeTable": table_arn(config, table), **dict.fromkeys(OPERATIONS_OF_A_STREAM, of_stream)}


def _stream_notes(
    source: DynamoDBStreams, stream: Stream, shards: Sequence[Shard], now: float
) -> Iterator[Seen]:
    status = source.describe(stream.arn, Limit=1).stream_status or "of unknown status"
    still_open = sum(not shard.closed for shard in shards)
    yield f"table {stream.table}: stream {stream.arn}, {stream.view_type}, {status}"
    yield f"table {stream.table}: {len(shards)} shards, {still_open} of them open"
    since = max(stream.created_ms / 1000, now - RETENTION_SECONDS)
    yield (
        f"table {stream.table}: changes since {_minute(since)} are still there; "
        "each expires 24 hours after it was made"
    )
    yield _oldest_change(source, stream, shards, now)


def _oldest_change(source: DynamoDBStreams, stream: Stream, shards: Sequence[Shard], now: float) -> str:
    """Reads one page at the beginning of the oldest shards: their ids begin with the time of their creation."""
    oldest = sorted(shards, key=lambda shard: shard.key.shard)[:OLDEST_SHARDS]
    times = [
        change.created
        for shard in oldest
        for change in source.read(shard.key, source.iterator(shard.key, BEGINNING)).changes[:1]
    ]
    where = f"table {stream.table}: at the beginning of the {len(oldest)} oldest shards"
    if not times:
        return f"{where} is no change"
    left = max(0.0, min(times) + RETENTION_SECONDS - now)
    return f"{where} is a change of {_minute(min(times))}: it expires in {hours(left)} h"


def _estimates(config: DynamoDBStreamsConfig, still_open: int, listings: int) -> Iterator[Estimate]:
    polls = still_open * DAY_SECONDS / config.idle_poll_seconds
    every = f"{still_open} open shards, each every {config.idle_poll_seconds:g} s"
    yield Estimate(
        "GetRecords calls",
        polls,
        2 * polls,
        "day",
        f"{every}, and once more for a sink that catches up; a full page is followed at once",
    )
    yield Estimate("streams read request units", polls, 2 * polls, "day", "one for each GetRecords call")
    yield Estimate(
        "GetShardIterator calls",
        ROLLOVERS_A_DAY * still_open,
        2 * ROLLOVERS_A_DAY * still_open,
        "day",
        "one for each new shard, which come about every four hours",
    )
    relists = DAY_SECONDS / RELIST_SECONDS
    yield Estimate(
        "DescribeStream calls",
        relists * listings,
        relists * listings + ROLLOVERS_A_DAY * still_open,
        "day",
        f"every {RELIST_SECONDS} s, {SHARDS_A_PAGE} shards a call, and once where a shard ends",
    )
    tables = len(config.tables)
    yield Estimate(
        "DescribeTable calls", relists * tables, relists * tables, "day", f"every {RELIST_SECONDS} s"
    )


def hours(seconds: float) -> str:
    """`12:10`."""
    minutes = int(seconds // 60)
    return f"{minutes // 60}:{minutes % 60:02d}"


def _minute(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
