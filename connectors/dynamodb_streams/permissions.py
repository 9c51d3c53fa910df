"""What reading the streams asks of IAM (Service Authorization Reference, Amazon DynamoDB: actions and resource types)."""

from collections.abc import Sequence

from cdc.connector import SourceContext, Statement, arn_start
from connectors.dynamodb_streams.config import DynamoDBStreamsConfig

OPERATIONS_OF_A_STREAM = ("DescribeStream", "GetShardIterator", "GetRecords")


def table_arn(config: DynamoDBStreamsConfig, table: str) -> str:
    return f"{arn_start(config, 'dynamodb')}table/{table}"


def stream_arn(config: DynamoDBStreamsConfig, table: str) -> str:
    """Of every stream of the table: each time that it is switched on it has a new one."""
    return f"{table_arn(config, table)}/stream/*"


def permissions(config: DynamoDBStreamsConfig, context: SourceContext) -> Sequence[Statement]:
    return (
        Statement(
            "SourceTables",
            ("dynamodb:DescribeTable",),
            tuple(table_arn(config, table) for table in config.tables),
            "a table's stream, and its key, are not found",
        ),
        Statement(
            "SourceStreams",
            tuple(f"dynamodb:{operation}" for operation in OPERATIONS_OF_A_STREAM),
            tuple(stream_arn(config, table) for table in config.tables),
            "no shard is found and nothing is read",
        ),
    )
