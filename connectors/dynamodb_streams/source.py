"""The port `Source` on DynamoDB Streams."""

from typing import Any, Literal

from cdc.errors import ErrorKind, SourceError
from cdc.model import Listing, Page, Place, Position, Shard, ShardKey, Stream
from connectors.dynamodb_streams import answers
from connectors.dynamodb_streams.api import ServiceCalls
from connectors.dynamodb_streams.config import DynamoDBStreamsConfig

PAGE_RECORDS = 1000
"""The most that `GetRecords` gives (API reference, GetRecords, Limit)."""


class DynamoDBStreams:
    """Thread-safe. Every method makes one call (`shards`: one per page of the listing) and never retries.

    Args:
        config: of the source.
        api: makes the calls.
    """

    def __init__(self, config: DynamoDBStreamsConfig, api: ServiceCalls) -> None:
        self._config = config
        self._api = api
        self._filters_shards = self._api.filters_shards
        """Becomes false for good once the service shows that it does not; a race costs one call."""

    def shards(self, stream: Stream, *, parent: ShardKey | None = None) -> Listing:
        if parent is None or not self._filters_shards:
            return self._listing(stream, None)
        try:
            return self._listing(stream, parent.shard)
        except SourceError as error:
            if error.kind not in (ErrorKind.INVALID_REQUEST, ErrorKind.NOT_FOUND):
                raise
            listing = self._listing(stream, None)
            if error.kind is ErrorKind.INVALID_REQUEST:
                self._filters_shards = False
            return listing

    def iterator(self, shard: ShardKey, position: Position, *, latest: bool = False) -> str:
        arguments: dict[str, str] = {"StreamArn": shard.stream, "ShardId": shard.shard}
        kind: Literal["TRIM_HORIZON", "LATEST", "AFTER_SEQUENCE_NUMBER"]
        match position.place:
            case Place.BEGINNING:
                kind = "LATEST" if latest else "TRIM_HORIZON"
            case Place.AFTER:
                kind = "AFTER_SEQUENCE_NUMBER"
                arguments["SequenceNumber"] = position.sequence
            case Place.END:
                raise ValueError("nothing comes after the end of a shard")
        return self._api.call(
            "GetShardIterator", _place(shard), answers.iterator, ShardIteratorType=kind, **arguments
        )

    def read(self, shard: ShardKey, iterator: str) -> Page:
        return self._api.call(
            "GetRecords", _place(shard), answers.page, ShardIterator=iterator, Limit=PAGE_RECORDS
        )

    def close(self) -> None:
        self._api.close()

    def describe(self, stream_arn: str, **arguments: Any) -> answers.StreamDescription:
        """One page of a stream's description."""
        return self._api.call(
            "DescribeStream", f"stream {stream_arn}", answers.stream, StreamArn=stream_arn, **arguments
        )

    def stream(self, table: str) -> Stream:
        place = f"table {table}"
        described = self._api.call("DescribeTable", place, answers.table, TableName=table)
        specification = described.stream_specification
        where = f"{place} at {self._api.tables_endpoint}"
        if specification is None or not specification.stream_enabled:
            raise SourceError(
                ErrorKind.CONFIGURATION,
                f"{where} has no enabled stream",
                remedy=f"enable it: {self._enable_command(table)}",
            )
        arn = described.latest_stream_arn
        if arn is None or specification.stream_view_type is None:
            raise SourceError(ErrorKind.UNAVAILABLE, f"{where}: its stream is not there yet")
        key = described.key()
        if key is None:
            raise SourceError(ErrorKind.MALFORMED, f"{where}: a key attribute has no definition")
        account, region = _account_and_region(arn)
        return Stream(
            arn=arn,
            table=table,
            table_id=described.identity(),
            account=account,
            region=region or self._api.region,
            created_ms=self._created_ms(arn, described.latest_stream_label),
            view_type=specification.stream_view_type,
            key=key,
        )

    def _created_ms(self, arn: str, label: str | None) -> int:
        """By the label, which has milliseconds; without a readable one by what the stream says, which has seconds."""
        created = answers.created_ms(label or arn.rpartition("/")[2])
        if created is not None:
            return created
        requested = self.describe(arn, Limit=1).creation_request_date_time
        if requested is None:
            raise SourceError(ErrorKind.MALFORMED, f"stream {arn} does not tell when it was created")
        return round(requested * 1000)

    def _listing(self, stream: Stream, parent: str | None) -> Listing:
        """With `parent`: its children, or the whole listing where the service ignores the filter."""
        arguments: dict[str, Any] = {}
        if parent is not None:
            arguments["ShardFilter"] = {"Type": "CHILD_SHARDS", "ShardId": parent}
        shards: dict[str, Shard] = {}
        cursors: set[str] = set()
        while True:
            page = self.describe(stream.arn, **arguments)
            if page.stream_status == "ENABLING":
                raise SourceError(ErrorKind.UNAVAILABLE, f"stream {stream.arn} is still being enabled")
            for listed in page.shards:
                shard = _shard(stream, listed)
                # Named twice while it closed between two pages: closed is the newer word.
                if listed.shard_id not in shards or shard.closed:
                    shards[listed.shard_id] = shard
            cursor = page.last_evaluated_shard_id
            if not cursor:
                break
            if cursor in cursors:
                raise SourceError(
                    ErrorKind.MALFORMED,
                    f"stream {stream.arn}: the listing of shards does not end ({cursor} comes again)",
                )
            cursors.add(cursor)
            arguments["ExclusiveStartShardId"] = cursor
        filtered = parent is not None
        if filtered and any(shard.parent != parent for shard in shards.values()):
            filtered = self._filters_shards = False
        return Listing(tuple(shards.values()), complete=not filtered)

    def _enable_command(self, table: str) -> str:
        command = [
            "aws dynamodb update-table",
            f"--table-name {table}",
            "--stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES",
            f"--region {self._api.region}",
        ]
        if self._config.endpoint_url is not None:
            command.append(f"--endpoint-url {self._config.endpoint_url}")
        if self._config.profile is not None:
            command.append(f"--profile {self._config.profile}")
        return " ".join(command)


def _shard(stream: Stream, listed: answers.ListedShard) -> Shard:
    numbers = listed.sequence_number_range
    return Shard(
        key=ShardKey(stream.arn, listed.shard_id),
        parent=listed.parent_shard_id,
        starting_sequence=numbers.starting_sequence_number,
        ending_sequence=numbers.ending_sequence_number,
    )


def _account_and_region(arn: str) -> tuple[str, str]:
    """Of `arn:partition:dynamodb:region:account:table/...`; empty for an emulator's ARN of another shape."""
    parts = arn.split(":", 5)
    return (parts[4], parts[3]) if len(parts) == 6 and parts[0] == "arn" else ("", "")  # noqa: PLR2004


def _place(shard: ShardKey) -> str:
    return f"shard {shard.shard} of {shard.stream}"
