"""Under which names a table's schemas stand in a registry.

The three strategies are those of Confluent's serializers (Confluent documentation, "Subject name strategy"). A sink
without topics uses the records' names whatever the strategy: `{table}-value` could be the subject of a topic that is
named like the table, and holds another envelope.
"""

from dataclasses import dataclass
from typing import Literal

SubjectStrategy = Literal["topic-name", "record-name", "topic-record-name"]


@dataclass(frozen=True, slots=True)
class Subjects:
    """The names for one sink. Sinks with equal ones register the same, and can share what is encoded."""

    strategy: SubjectStrategy = "record-name"
    topic: str = ""
    """The sink's template of a topic: {table} {account} {region} {pipeline}. Empty: it has no topics."""
    pipeline: str = ""

    def key(self, table: str, record: str, *, account: str = "", region: str = "") -> str:
        """The subject of a key.

        Args:
            table: whose changes they are.
            record: the full name of the record.
            account: of the table's stream.
            region: of the table's stream.
        """
        return self._name(record, "key", table=table, account=account, region=region)

    def value(self, table: str, record: str, *, account: str = "", region: str = "") -> str:
        return self._name(record, "value", table=table, account=account, region=region)

    def _name(self, record: str, part: str, **stream: str) -> str:
        if not self.topic or self.strategy == "record-name":
            return record
        topic = self.topic.format_map(stream | {"pipeline": self.pipeline})
        return f"{topic}-{part}" if self.strategy == "topic-name" else f"{topic}-{record}"
