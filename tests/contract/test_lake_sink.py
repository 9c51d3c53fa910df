from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from cdc.connector import SinkContext
from cdc.model import Batch, EncodedBatch
from cdc.ports import Sink
from cdc.testing.content import Content
from cdc.testing.encoding import encode
from cdc.testing.sink_contract import OutageCases
from connectors.lake import CONNECTOR, LakeConfig
from tests.lake_files import lake_content


class LakeCases(OutageCases):
    settings: ClassVar[Mapping[str, object]] = {}

    def make_sink(self, context: SinkContext) -> Sink:
        settings = {"name": "lake", "type": "lake", "url": "file:lake", **self.settings}
        return CONNECTOR.build(LakeConfig.model_validate(settings), context)

    def encode(self, batch: Batch) -> EncodedBatch:
        return encode(batch)

    def read_back(self, base: Path) -> Content:
        return lake_content(base / "lake")

    def break_it(self, base: Path) -> None:
        (base / "lake").rename(base / "away")
        (base / "lake").write_text("not a folder any more")

    def mend_it(self, base: Path) -> None:
        (base / "lake").unlink()
        (base / "away").rename(base / "lake")


class TestLake(LakeCases):
    pass


class TestLakeThatFlushesBySize(LakeCases):
    """A file a batch: each write that brings rows is durable at once."""

    settings: ClassVar[Mapping[str, object]] = {"flush_after_megabytes": 0.000001, "codec": "null"}
