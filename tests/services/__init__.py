"""Real services for the integration tests: Apache Kafka, DynamoDB Local, a schema registry and an S3, on this machine.

`python -m tests.services start` gets them, starts them and writes `.services/env`; `stop` ends them and leaves nothing.
Tests ask for the fixtures in `tests.services.fixtures`; a test that takes a server down has one of its own, a
`tests.services.server.Server`. Jars or containers, and which servers: the README beside this module.
"""
