"""Under which names a table's schemas stand in a registry.

The three strategies are those of Confluent's serializers (Confluent documentation, "Subject name strategy"). A sink
without topics uses the records' names whatever the strategy: `{table}-value` could be the subject of a topic that is
named like the table, and holds another envelope.
"""

from dataclasses import dataclass
from typing import Literal

from cdc.model import Stream

SubjectStrategy = Literal["topic-name", "record-name", "topic-record-name"]


@dataclass(frozen=True, slots=True)
class Subjects:
    """The names for one sink. Sinks with equal ones register the same, and can share what is encoded."""

    strategy: SubjectStrategy = "record-name"
    topic: str = ""
    """The sink's template of a topic: {table} {account} {region} {pipeline}. Empty: it has no topics."""
    pipeline: str = ""

    def key(self, stream: Stream, record: str) -> str:
        """The subject of a key.

        Args:
            stream: whose changes they are.
            record: the full name of the record.
        """
        return self._name(stream, record, "key")

    def value(self, stream: Stream, record: str) -> str:
        return self._name(stream, record, "value")

    def _name(self, stream: Stream, record: str, part: str) -> str:
        if not self.topic or self.strategy == "record-name":
            return record
        topic = self.topic.format_map(
            {
                "table": stream.table,
                "account": stream.account,
                "region": stream.region,
                "pipeline": self.pipeline,
            }
        )
        return f"{topic}-{part}" if self.strategy == "topic-name" else f"{topic}-{record}"
