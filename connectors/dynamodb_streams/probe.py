"""What `cdc check` finds out about the source: by read-only calls, one line for each thing seen."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cdc.connector import SourceContext
from cdc.model import BEGINNING, RETENTION_SECONDS, Stream
from connectors.dynamodb_streams.config import DynamoDBStreamsConfig
from connectors.dynamodb_streams.source import DynamoDBStreams


def probe(config: DynamoDBStreamsConfig, context: SourceContext) -> Sequence[str]:
    """Makes every kind of call that a run makes, so that a missing permission shows here.

    Raises:
        SourceError: names the table, the endpoint and, where one is known, the remedy.
    """
    source = DynamoDBStreams(config, context)
    try:
        lines = [f"endpoint {source.api.streams_endpoint} answers, the credentials are valid"]
        now = context.clock.now().wall
        for stream in map(source.stream, config.tables):
            lines += _stream_lines(source, stream, now)
        return lines
    finally:
        source.close()


def _stream_lines(source: DynamoDBStreams, stream: Stream, now: float) -> list[str]:
    status = source.describe(stream.arn, Limit=1).stream_status or "of unknown status"
    shards = source.shards(stream).shards
    if shards:
        key = shards[-1].key
        source.read(key, source.iterator(key, BEGINNING))
    still_open = sum(not shard.closed for shard in shards)
    oldest = max(stream.created_ms / 1000, now - RETENTION_SECONDS)
    since = datetime.fromtimestamp(oldest, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return [
        f"table {stream.table}: stream {stream.arn}, {stream.view_type}, {status}",
        f"table {stream.table}: {len(shards)} shards, {still_open} of them open",
        f"table {stream.table}: changes since {since} are still there; each expires 24 hours after it was made",
    ]
