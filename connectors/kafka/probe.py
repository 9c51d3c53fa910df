"""What `cdc check` finds out about a cluster, without changing anything in it."""

from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from time import monotonic

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its public names, re-exported without `as`
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    ResourceType,
)

from cdc.connector import SinkContext
from cdc.errors import ErrorKind, SinkError
from connectors.kafka.client import (
    LibraryLog,
    Redaction,
    library_properties,
    new_producer,
    serve,
    sink_error,
)
from connectors.kafka.codes import DENIED
from connectors.kafka.config import KafkaConfig
from connectors.kafka.topics import name_pattern

CONNECT_SECONDS = 5.0
_TRY_SECONDS = 1.0
_BROKER_CONFIG_SECONDS = 3.0


def probe(config: KafkaConfig, context: SinkContext) -> Sequence[str]:
    """Connects, and looks for the topics. Only metadata and a broker's settings are read; all topics are asked for at
    once, since asking for one by name may create it.

    Raises:
        SinkError: `UNAVAILABLE`, `ACCESS_DENIED`, `CONFIGURATION`; `NOT_FOUND` for a topic that is absent and that the
            brokers do not create.
    """
    redact = Redaction({name: value.get_secret_value() for name, value in config.properties.items()})
    errors: list[KafkaError] = []
    properties = library_properties(config, client=f"cdc-{context.pipeline}-{config.name}-check")
    producer = new_producer(properties, redact=redact, on_error=errors.append)
    metadata = _metadata(producer, errors, config, redact)
    lines = [f"{config.bootstrap_servers}: connected, {len(metadata.brokers)} broker(s)"]
    creates: bool | None = None
    asked = False
    for table in context.tables:
        pattern = name_pattern(config.topic, table=table, pipeline=context.pipeline)
        found = [topic for name, topic in metadata.topics.items() if pattern.fullmatch(name)]
        if found:
            lines += [f"topic {topic.topic}: {len(topic.partitions)} partition(s)" for topic in found]
            continue
        topic = config.topic.replace("{table}", table).replace("{pipeline}", context.pipeline)
        if not asked:
            creates, asked = _brokers_create_topics(properties, metadata, redact), True
        if creates is False:
            raise SinkError(
                ErrorKind.NOT_FOUND,
                f"topic {topic} does not exist, and the brokers create no topics",
                remedy=f"create the topic {topic}",
            )
        lines.append(
            f"topic {topic}: absent; the brokers create it at the first message, with their defaults"
            if creates
            else f"topic {topic}: absent; whether the brokers create topics could not be read"
        )
    return lines


def _metadata(
    producer: Producer, errors: list[KafkaError], config: KafkaConfig, redact: Redaction
) -> ClusterMetadata:
    deadline = monotonic() + CONNECT_SECONDS
    while True:
        try:
            metadata: ClusterMetadata = producer.list_topics(timeout=_TRY_SECONDS)
        except KafkaException as failed:
            serve(producer, 0)
            denied = [error for error in errors if error.code() in DENIED]
            if denied or monotonic() >= deadline:
                # The last thing that went wrong with a connection says more than "timed out".
                error = (denied or errors or [failed.args[0]])[-1]
                mapped = sink_error(error, topic=None, redact=redact)
                raise SinkError(mapped.kind, f"{config.bootstrap_servers}: {mapped.message}") from None
        else:
            return metadata


def _brokers_create_topics(
    properties: Mapping[str, str], metadata: ClusterMetadata, redact: Redaction
) -> bool | None:
    """`auto.create.topics.enable` of a broker; None where it may not be read."""
    if not metadata.brokers:
        return None
    resource = ConfigResource(ResourceType.BROKER, str(next(iter(metadata.brokers))))
    admin = AdminClient(dict(properties), logger=LibraryLog(redact))
    (answer,) = admin.describe_configs([resource], request_timeout=_BROKER_CONFIG_SECONDS).values()
    try:
        settings = answer.result(_BROKER_CONFIG_SECONDS)
    except (KafkaException, FutureTimeoutError):
        return None
    setting = settings.get("auto.create.topics.enable")
    return None if setting is None else str(setting.value) == "true"
