from cdc.connector import SinkContext
from cdc.model import Batch, EncodedBatch
from cdc.ports import Sink
from cdc.testing.encoding import encode
from cdc.testing.sink_contract import SinkCases
from connectors.null import CONNECTOR


class TestNullSink(SinkCases):
    def make_sink(self, context: SinkContext) -> Sink:
        return CONNECTOR.build(CONNECTOR.config(name="nowhere", type="null"), context)

    def encode(self, batch: Batch) -> EncodedBatch:
        return encode(batch)
