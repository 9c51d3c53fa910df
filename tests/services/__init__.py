"""Real services for the integration tests: Apache Kafka and DynamoDB Local, run on this machine's Java.

`python -m tests.services start` gets both with Maven, starts them and writes `.services/env`; `stop` ends them
and leaves nothing. Tests ask for the fixtures in `tests.services.fixtures`; a test that takes a server down starts
one of its own: `tests.services.kafka.KafkaBroker`, `tests.services.dynamodb_local.DynamoDBLocal`.
"""
