import io
from pathlib import Path

import pytest

from cdc.connector import SinkContext
from cdc.ports import Sink
from cdc.testing.content import Content
from cdc.testing.sink_contract import ContentCases
from connectors.console.sink import ConsoleSink
from tests.contract.lines import content_of_lines


class TestConsoleSink(ContentCases):
    @pytest.fixture(autouse=True)
    def _output(self) -> None:
        self.output = io.StringIO()

    def make_sink(self, context: SinkContext) -> Sink:
        return ConsoleSink("console", output=self.output)

    def read_back(self, base: Path) -> Content:
        return content_of_lines(self.output.getvalue().encode())
