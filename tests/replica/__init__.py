"""What the tests of the replica sink share: tables at a DynamoDB, and a proxy in front of it that fails on request."""
