from pathlib import Path

from cdc.connector import SinkContext
from cdc.ports import Sink
from cdc.testing.content import Content
from cdc.testing.sink_contract import OutageCases
from connectors.file import CONNECTOR
from tests.contract.lines import content_of_lines


class TestFileSink(OutageCases):
    def make_sink(self, context: SinkContext) -> Sink:
        return CONNECTOR.build(
            CONNECTOR.config(name="lines", type="file", path=Path("changes.jsonl")), context
        )

    def read_back(self, base: Path) -> Content:
        return content_of_lines((base / "changes.jsonl").read_bytes())

    def break_it(self, base: Path) -> None:
        (base / "changes.jsonl").rename(base / "away.jsonl")
        (base / "changes.jsonl").mkdir()

    def mend_it(self, base: Path) -> None:
        (base / "changes.jsonl").rmdir()
        (base / "away.jsonl").rename(base / "changes.jsonl")
