"""State in a table of DynamoDB: one item with the lease of each pipeline, and pages with what it has saved.

`docs/adr/0008-state-in-dynamodb-by-shadow-pages.md` has the protocol and its reasons. `build.state_store` makes a store; it is
imported where one is made, since it needs botocore.
"""

from connectors.state_dynamodb.permissions import permissions

__all__ = ["permissions"]
