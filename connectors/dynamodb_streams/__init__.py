"""The source `dynamodb-streams`: DynamoDB Streams, and whatever speaks its API."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cdc.connector import Seen, SourceConnector, SourceContext
from connectors.dynamodb_streams.config import DynamoDBStreamsConfig
from connectors.dynamodb_streams.permissions import permissions

if TYPE_CHECKING:
    from connectors.dynamodb_streams.source import DynamoDBStreams

__all__ = ["CONNECTOR", "DynamoDBStreamsConfig"]


def _build(config: DynamoDBStreamsConfig, context: SourceContext) -> "DynamoDBStreams":
    from connectors.dynamodb_streams.api import Api
    from connectors.dynamodb_streams.source import DynamoDBStreams

    return DynamoDBStreams(config, Api(config, context))


def _probe(config: DynamoDBStreamsConfig, context: SourceContext) -> Sequence[Seen]:
    from connectors.dynamodb_streams.probe import probe

    return probe(config, context)


CONNECTOR = SourceConnector(config=DynamoDBStreamsConfig, build=_build, probe=_probe, permissions=permissions)
