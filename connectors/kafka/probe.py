"""What `cdc check` finds out about a cluster, without changing anything in it."""

from collections.abc import Iterator, Sequence
from time import monotonic

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its public names, re-exported without `as`
    ClusterMetadata,
)

from cdc.connector import Note, Seen, SinkContext
from cdc.errors import ErrorKind, SinkError
from connectors.kafka.client import Redaction, library_properties, new_producer, serve, sink_error
from connectors.kafka.codes import DENIED
from connectors.kafka.config import KafkaConfig
from connectors.kafka.inquiry import ClusterFacts, Settings, TopicFacts, ask
from connectors.kafka.topics import fields_of, name_pattern, topic_name

CONNECT_SECONDS = 5.0
_TRY_SECONDS = 1.0

PRODUCER_BYTES = 1_000_000
"""librdkafka's default `message.max.bytes`."""
ITEM_BYTES = 400 * 1024
"""The largest item (Developer Guide, Service quotas)."""
BASE64 = 4 / 3
"""Binary values grow so much as text; numbers and short texts grow by their JSON."""


def probe(config: KafkaConfig, context: SinkContext) -> Sequence[Seen]:
    """Connects, and looks for the topics, their settings, and what this user may do with them. All topics are listed at
    once: asking for one's metadata by name may create it.

    Raises:
        SinkError: `UNAVAILABLE`, `ACCESS_DENIED`, `CONFIGURATION`.
    """
    redact = Redaction({name: value.get_secret_value() for name, value in config.properties.items()})
    errors: list[KafkaError] = []
    properties = library_properties(config, client=f"cdc-{context.pipeline}-{config.name}-check")
    producer = new_producer(properties, redact=redact, on_error=errors.append)
    metadata = _metadata(producer, errors, config, redact)
    listed = {table: _listed(config, context, table, metadata) for table in context.tables}
    names = [topic for topics in listed.values() for topic in topics]
    broker = next(iter(metadata.brokers), None)
    facts = ask(properties, redact, topics=names, broker=broker)
    seen: list[Seen] = [f"{config.bootstrap_servers}: connected, {len(metadata.brokers)} broker(s)"]
    limit = int(properties.get("message.max.bytes", PRODUCER_BYTES))
    for topics in listed.values():
        for topic in topics:
            there = metadata.topics.get(topic)
            if there is not None:
                seen += _topic_notes(config, topic, len(there.partitions), facts.topics[topic], limit)
            else:
                seen.append(_absent(topic, facts))
    return seen


def _listed(config: KafkaConfig, context: SinkContext, table: str, metadata: ClusterMetadata) -> list[str]:
    """The table's topic, by name where account and region are known, else those that look like it."""
    values = {"table": table, "pipeline": context.pipeline}
    for stream in context.streams:
        if stream.table == table:
            values |= {"account": stream.account, "region": stream.region}
    if fields_of(config.topic) <= values.keys():
        return [topic_name(config.topic, values)]
    pattern = name_pattern(config.topic, table=table, pipeline=context.pipeline)
    found = [name for name in metadata.topics if pattern.fullmatch(name)]
    return found or [config.topic.replace("{table}", table).replace("{pipeline}", context.pipeline)]


def _absent(topic: str, facts: ClusterFacts) -> Seen:
    if facts.topics[topic].denied:
        return Note(
            f"topic {topic}: this user may not describe it: whether it exists is not known",
            "problem",
            _acl(topic),
        )
    creates = None if facts.broker is None else facts.broker.get("auto.create.topics.enable")
    if creates == "false":
        return SinkError(
            ErrorKind.NOT_FOUND,
            f"topic {topic} does not exist, and the brokers create no topics",
            remedy=f"create the topic {topic}",
        )
    if creates is None:
        return f"topic {topic}: absent; whether the brokers create topics could not be read"
    text = f"topic {topic}: absent; the brokers create it at the first message, with their defaults"
    if facts.may_create_topics:
        return text
    return f"{text}, if this user may create it (Create on the topic or the cluster), which could not be seen"


def _topic_notes(
    config: KafkaConfig, topic: str, partitions: int, facts: TopicFacts, limit: int
) -> Iterator[Seen]:
    place = f"topic {topic}"
    writes = {True: ", this user may write to it", False: "", None: ""}[facts.may_write]
    yield f"{place}: {partitions} partition(s){writes}"
    if facts.may_write is False:
        yield Note(f"{place}: this user may not write to it", "problem", _acl(topic))
    if facts.settings is not None:
        yield from _replication(place, facts.replicas, facts.settings)
        yield from _cleanup(config, place, facts.settings)
        yield from _sizes(place, facts.settings, limit)


def _replication(place: str, replicas: int | None, settings: Settings) -> Iterator[Seen]:
    least = settings.get("min.insync.replicas", "")
    if replicas is None or not least.isdecimal():
        return
    text = f"{place}: {replicas} replica(s), min.insync.replicas {least}"
    if int(least) > replicas:
        yield Note(
            f"{text}: no message is accepted",
            "problem",
            "lower min.insync.replicas, or add replicas to the topic",
        )
    elif int(least) == replicas > 1:
        yield Note(f"{text}: one broker that is down stops this sink", "warning", "add a replica")
    elif int(least) == 1:
        yield Note(
            f"{text}: what one broker has counts as durable, and is lost with its disk",
            "warning",
            "three replicas and min.insync.replicas 2 survive the loss of a broker",
        )
    else:
        yield text


def _cleanup(config: KafkaConfig, place: str, settings: Settings) -> Iterator[Seen]:
    policy = settings.get("cleanup.policy", "")
    compacts = "compact" in policy
    if compacts and not config.tombstones:
        yield Note(
            f"{place}: cleanup.policy {policy} and no tombstones: deleted items stay for ever",
            "warning",
            "set `tombstones: true`",
        )
    elif policy:
        tombstones = (
            "take deleted items away" if compacts else "are empty messages that nothing takes for a removal"
        )
        yield f"{place}: cleanup.policy {policy}" + (
            f"; tombstones {tombstones}" if config.tombstones else ""
        )


def _sizes(place: str, settings: Settings, limit: int) -> Iterator[Seen]:
    """An update carries both images where the stream has them."""
    told = settings.get("max.message.bytes", "")
    if not told.isdecimal():
        return
    takes = min(int(told), limit)
    text = (
        f"{place}: messages up to {takes:,} bytes (the topic's max.message.bytes {int(told):,}, this client's "
        f"message.max.bytes {limit:,}); both images of a 400 KB item are {2 * ITEM_BYTES:,} bytes and more as text, "
        f"{2 * ITEM_BYTES * BASE64:,.0f} if they are binary; what is larger becomes a dead letter"
    )
    if takes >= 2 * ITEM_BYTES * BASE64:
        yield f"{place}: messages up to {takes:,} bytes"
    elif takes >= 2 * ITEM_BYTES:
        yield text
    else:
        yield Note(text, "warning", "raise both, if items are so large")


def _acl(topic: str) -> str:
    return (
        "kafka-acls.sh --add --allow-principal User:NAME --operation Write --operation Describe "
        f"--topic {topic}"
    )


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
