from pathlib import Path

import pytest

from cdc.connector import SinkContext
from cdc.ports import Sink
from cdc.testing.content import Content
from cdc.testing.fakes import MemoryDestination, MemorySink
from cdc.testing.faults import Faults
from cdc.testing.position_contract import FencingCases
from cdc.testing.sink_contract import OutageCases


class MemoryCases(OutageCases):
    keeps_positions = False

    @pytest.fixture(autouse=True)
    def _destination(self) -> None:
        self.destination = MemoryDestination()
        self.faults = Faults()

    def make_sink(self, context: SinkContext) -> Sink:
        return MemorySink(
            destination=self.destination, faults=self.faults, keeps_positions=self.keeps_positions
        )

    def read_back(self, base: Path) -> Content:
        return self.destination.content()

    def break_it(self, base: Path) -> None:
        self.faults.outage("open", "claim", "write")

    def mend_it(self, base: Path) -> None:
        self.faults.mend()


class TestAtLeastOnce(MemoryCases):
    pass


class TestKeepsPositions(FencingCases, MemoryCases):
    keeps_positions = True
