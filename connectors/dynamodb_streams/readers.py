"""Who else reads a stream, and how much is written to its table, as far as AWS tells."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cdc.aws_probe import Neighbours
from cdc.connector import SOURCE_WRITE_UNITS, Estimate, Note, Seen
from cdc.model import Stream

READERS_A_SHARD = 2
"""More are throttled; of a global table's shards one is left (Developer Guide, DynamoDB Streams: reading)."""
_GIVEN_UP = frozenset({"Disabled", "Disabling", "Deleting"})
_NO_DESTINATION = frozenset({"DISABLED", "ENABLE_FAILED"})


def other_readers(neighbours: Neighbours, streams: Sequence[Stream]) -> Iterator[Seen]:
    for stream in streams:
        yield from _lambda(neighbours, stream)
        yield from _replication(neighbours, stream)
        yield from _kinesis(neighbours, stream)
    yield "readers that use the Kinesis Client Library cannot be seen: nobody lists them"


def _lambda(neighbours: Neighbours, stream: Stream) -> Iterator[Seen]:
    answer = neighbours.ask(
        "lambda",
        "Lambda functions that read the streams (lambda:ListEventSourceMappings)",
        lambda client: client.list_event_source_mappings(EventSourceArn=stream.arn),
    )
    mappings = (answer or {}).get("EventSourceMappings", [])
    functions = [one.get("FunctionArn", "") for one in mappings if one.get("State") not in _GIVEN_UP]
    if not functions:
        if answer is not None:
            yield f"table {stream.table}: no Lambda function reads the stream"
        return
    names = ", ".join(name.rpartition(":")[2] for name in functions)
    text = f"table {stream.table}: the stream is read by {len(functions)} Lambda function(s): {names}"
    left = READERS_A_SHARD - len(functions)
    if left > 0:
        text += "; one reader is left, and a sink that catches up needs a second: it may be throttled"
    else:
        text += f"; {READERS_A_SHARD} readers of a shard are all that are allowed: this pipeline would be throttled"
    yield Note(
        text, "warning", "let this pipeline feed them (one reader for all sinks), or disable a mapping"
    )


def _replication(neighbours: Neighbours, stream: Stream) -> Iterator[Seen]:
    answer = neighbours.ask(
        "dynamodb",
        "whether a table is a global one",
        lambda client: client.describe_table(TableName=stream.table),
        at_the_endpoint=True,
    )
    replicas: list[dict[str, Any]] = (answer or {}).get("Table", {}).get("Replicas", [])
    regions = [one["RegionName"] for one in replicas if one.get("RegionName", stream.region) != stream.region]
    if regions:
        yield Note(
            f"table {stream.table}: global table (replicas in {', '.join(sorted(regions))}): the replication reads "
            "the stream too, one reader is left; a sink that catches up needs a second: it may be throttled",
            "warning",
        )


def _kinesis(neighbours: Neighbours, stream: Stream) -> Iterator[Seen]:
    answer = neighbours.ask(
        "dynamodb",
        "Kinesis streaming destinations (dynamodb:DescribeKinesisStreamingDestination)",
        lambda client: client.describe_kinesis_streaming_destination(TableName=stream.table),
        at_the_endpoint=True,
    )
    destinations = (answer or {}).get("KinesisDataStreamDestinations", [])
    found = [one for one in destinations if one.get("DestinationStatus") not in _NO_DESTINATION]
    if found:
        yield f"table {stream.table}: {len(found)} Kinesis data stream(s) get its changes; they share no shard"


def write_units(neighbours: Neighbours, streams: Sequence[Stream], now: float) -> Iterator[Seen]:
    """Of the last 24 hours (CloudWatch, DynamoDB metrics: ConsumedWriteCapacityUnits)."""
    end = datetime.fromtimestamp(now, UTC)
    queries = [
        {
            "Id": f"t{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/DynamoDB",
                    "MetricName": "ConsumedWriteCapacityUnits",
                    "Dimensions": [{"Name": "TableName", "Value": stream.table}],
                },
                "Period": 3600,
                "Stat": "Sum",
            },
        }
        for number, stream in enumerate(streams)
    ]
    answer = neighbours.ask(
        "cloudwatch",
        "the tables' rate of writes (cloudwatch:GetMetricData)",
        lambda client: client.get_metric_data(
            MetricDataQueries=queries, StartTime=end - timedelta(days=1), EndTime=end
        ),
    )
    if answer is not None:
        units = sum(sum(result["Values"]) for result in answer["MetricDataResults"])
        yield Estimate(SOURCE_WRITE_UNITS, units, units, "day", "CloudWatch: the last 24 hours")
