"""Change data capture for DynamoDB: the service, its ports and its engine."""
