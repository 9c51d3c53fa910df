"""State in a table of DynamoDB: one item with the lease of each pipeline, and pages with what it has saved.

`docs/adr/0005-state-in-dynamodb-by-shadow-pages.md` has the protocol and its reasons.
"""

from connectors.state_dynamodb.build import state_store
from connectors.state_dynamodb.permissions import permissions
from connectors.state_dynamodb.store import DynamoDBStateStore

__all__ = ["DynamoDBStateStore", "permissions", "state_store"]
