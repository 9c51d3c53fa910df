"""What the tests of the source `dynamodb-streams` have in common."""
