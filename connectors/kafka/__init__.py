"""Changes into Kafka topics, one per table: keys and values as framed Avro, at least once, in order per item.

Needs `confluent-kafka` (extra `kafka`), which only `build` and `probe` import.
"""

from collections.abc import Sequence

from cdc.connector import Seen, SinkConnector, SinkContext
from cdc.ports import Sink
from connectors.kafka.config import KafkaConfig


def _build(config: KafkaConfig, context: SinkContext) -> Sink:
    from connectors.kafka.sink import KafkaSink

    return KafkaSink(config, context)


def _probe(config: KafkaConfig, context: SinkContext) -> Sequence[Seen]:
    from connectors.kafka.probe import probe

    return probe(config, context)


CONNECTOR = SinkConnector(
    config=KafkaConfig,
    build=_build,
    probe=_probe,
    envelope="debezium",
    topic=lambda config: config.topic,
)
