from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from tests.dynamodb_streams.tables import Tables, tables_at


@pytest.fixture(scope="session")
def tables() -> Iterator[Tables]:
    """A DynamoDB with streams in this process, over real HTTP."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with tables_at(f"http://{host}:{port}") as found:
            yield found
    finally:
        server.stop()
