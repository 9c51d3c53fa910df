from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from tests.command.folder import file_sink, write
from tests.command.process import Running, running
from tests.dynamodb_streams.tables import Tables, tables_at
from tests.services.server import free_port


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


@pytest.fixture(scope="session", autouse=True)
def stalled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Running] | None]:
    """`run --until-caught-up` with a sink that is down, which takes a minute: it begins with the first test and runs
    beside the others. None where no test asks for it."""
    asking = (item for item in request.session.items if isinstance(item, pytest.Function))
    if not any("stalled" in item.function.__code__.co_varnames for item in asking):
        yield None
        return
    tables: Tables = request.getfixturevalue("tables")
    folder = tmp_path_factory.mktemp("stalled")
    name = tables.create()
    tables.put_many(name, 10)
    bus = {"name": "bus", "type": "kafka", "bootstrap_servers": f"127.0.0.1:{free_port()}"}
    write(folder, tables.url, name, [file_sink(), bus])
    with running(folder, "--until-caught-up") as run:
        yield folder, run
