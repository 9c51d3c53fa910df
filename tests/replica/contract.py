"""The contract of every sink, for the replica at some DynamoDB."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdc.connector import SinkContext
from cdc.ports import Sink
from cdc.testing.content import Content
from cdc.testing.sink_contract import OutageCases
from connectors.replica.sink import ReplicaSink
from tests.replica.proxy import Fault, LoseAnswer, LoseRequest, Proxy, always, well
from tests.replica.tables import Replica, config, names_of


class ReplicaCases(OutageCases):
    """A subclass has a fixture `endpoint`. The sink reaches it through a proxy, which is what breaks."""

    keeps_history = False
    outage: Fault = LoseRequest()

    @pytest.fixture(autouse=True)
    def proxied(self, endpoint: str) -> Iterator[None]:
        with Proxy(endpoint) as self.proxy:
            yield

    def replica(self, base: Path) -> Replica:
        return Replica(self.proxy.upstream.geturl(), *names_of(base))

    def make_sink(self, context: SinkContext) -> Sink:
        replica = self.replica(context.base)
        if not replica.exists():
            replica.create()
        configuration = config(
            self.proxy.url, table=replica.table, tombstones={"table": replica.tombstones}, max_in_flight=4
        )
        return ReplicaSink(configuration, context, budget_seconds=0.3)

    def read_back(self, base: Path) -> Content:
        return self.replica(base).content()

    def break_it(self, base: Path) -> None:
        self.proxy.fault = always(self.outage)

    def mend_it(self, base: Path) -> None:
        self.proxy.fault = well


class LostAnswerCases(ReplicaCases):
    """As above, but all that fails has been done."""

    outage = LoseAnswer()
