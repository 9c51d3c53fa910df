"""The `kafka` sink's configuration."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from cdc.connector import SinkConfig
from connectors.kafka.topics import check_template, fields_of, longest_name

STALL_SECONDS = 15.0
"""How long nothing may arrive before the sink hands its batches back, unless `delivery.timeout.ms` says otherwise.

A planned restart of a broker or a leader election takes up to about ten seconds, which nobody should hear of; the
retention of 24 hours and a SIGTERM ask for an answer not much later.
"""

STALL_PROPERTIES = ("delivery.timeout.ms", "message.timeout.ms")

_OWN_KEYS = {
    "bootstrap.servers": "set `bootstrap_servers` of the sink instead",
    "metadata.broker.list": "set `bootstrap_servers` of the sink instead",
    "transactional.id": "the sink chooses it when it delivers exactly once",
    "delivery.report.only.error": "the sink needs every delivery report",
}
_PROMISES = {
    "enable.idempotence": ({"true"}, "order and freedom from duplicates inside a run rest on it"),
    "enable.gapless.guarantee": ({"true"}, "without it a later change may overtake a refused one"),
    "acks": ({"all", "-1"}, "durable means: on all replicas in sync"),
    "request.required.acks": ({"all", "-1"}, "durable means: on all replicas in sync"),
    "partitioner": (
        {"murmur2_random", "murmur2"},
        "an item's partition must be the one that Java producers choose",
    ),
}
_CALLBACKS = {
    "on_delivery",
    "error_cb",
    "logger",
    "log_cb",
    "stats_cb",
    "throttle_cb",
    "oauth_cb",
    "partitioner_cb",
}


def _property_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value


PropertyValue = Annotated[
    SecretStr, BeforeValidator(_property_text, json_schema_input_type=str | int | float | bool)
]


class KafkaConfig(SinkConfig):
    """One topic per table on one cluster.

    Values of `properties` are never shown: which of them are secrets only librdkafka knows.
    """

    type: Literal["kafka"]
    bootstrap_servers: Annotated[str, Field(min_length=1)]
    """`host:port`, several separated by commas."""
    topic: str = "cdc.{table}"
    """Placeholders: {table} {account} {region} {pipeline}."""
    tombstones: bool = True
    """Whether a delete is followed by a message without value, which log compaction takes for a removal."""
    headers: bool = True
    """Whether each message has the headers that `schemas/kafka-headers.schema.json` describes."""
    delivery: Literal["at-least-once"] = "at-least-once"
    """`at-least-once`: a change may come twice after a failure, in order."""
    properties: Mapping[str, PropertyValue] = Field(default_factory=dict)
    """Any property of librdkafka (its CONFIGURATION.md): SASL, TLS, sizes, times. `delivery.timeout.ms` is how long
    nothing may arrive before the sink counts as unavailable."""

    @field_validator("topic")
    @classmethod
    def _topic(cls, template: str) -> str:
        return check_template(template)

    @field_validator("delivery", mode="before")
    @classmethod
    def _delivery(cls, value: Any) -> Any:
        if value == "exactly-once":
            raise ValueError("exactly-once is not in this version; allowed is at-least-once")
        return value

    @field_validator("properties")
    @classmethod
    def _properties(cls, properties: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for name, secret in properties.items():
            if (instead := _OWN_KEYS.get(name)) is not None:
                raise ValueError(f"{name} is not to be set here: {instead}")
            if name in _CALLBACKS:
                raise ValueError(f"{name} is no property of librdkafka")
            if name in _PROMISES:
                allowed, why = _PROMISES[name]
                if secret.get_secret_value().lower() not in allowed:
                    raise ValueError(f"{name} may only be {' or '.join(sorted(allowed))}: {why}")
            if name in STALL_PROPERTIES and not _milliseconds(secret.get_secret_value()):
                raise ValueError(f"{name} is a number of milliseconds, at least 1")
        return properties

    @property
    def stall_seconds(self) -> float:
        """How long nothing may arrive while something is on its way."""
        for name in STALL_PROPERTIES:
            if name in self.properties:
                return _milliseconds(self.properties[name].get_secret_value()) / 1000
        return STALL_SECONDS

    def check_tables(self, tables: Sequence[str]) -> None:
        if len(tables) > 1 and "table" not in fields_of(self.topic):
            raise ValueError(
                "topic: without {table} the changes of several tables would share one topic, in which equal keys "
                "of different tables are one key"
            )
        for table in tables:
            longest_name(self.topic, table=table, pipeline="p")


def _milliseconds(text: str) -> int:
    return int(text) if text.isdecimal() else 0
