"""What brokers tell about topics, permissions and settings; each answer may be refused, or not come."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its public names, re-exported without `as`
    AclOperation,
    AdminClient,
    ConfigResource,
    ResourceType,
)

from connectors.kafka.client import LibraryLog, Redaction
from connectors.kafka.codes import DENIED

ADMIN_SECONDS = 3.0
"""For all questions together."""

Settings = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What is not known is None."""

    denied: bool = False
    """The brokers refuse to describe it: it may be there or not."""
    partitions: int | None = None
    replicas: int | None = None
    """Of the partition that has the fewest."""
    may_write: bool | None = None
    settings: Settings | None = None


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    topics: Mapping[str, TopicFacts]
    broker: Settings | None
    """A broker's settings: what a topic gets that it creates."""
    may_create_topics: bool | None
    """Anywhere; None: not known, or of some names only."""


def ask(
    properties: Mapping[str, str], redact: Redaction, *, topics: Sequence[str], broker: int | None
) -> ClusterFacts:
    """Asks for all at once. None of it changes anything: a topic that is asked for here is not created.

    Args:
        properties: librdkafka's.
        redact: takes secrets out of what librdkafka logs.
        topics: names.
        broker: whose settings; None: nobody's.
    """
    admin = AdminClient(dict(properties), logger=LibraryLog(redact))
    deadline = monotonic() + ADMIN_SECONDS
    of_broker = [] if broker is None else [ConfigResource(ResourceType.BROKER, str(broker))]
    of_topics = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
    # One request each: a refusal of one says nothing of the others.
    settings = {
        resource.name: admin.describe_configs([resource], request_timeout=ADMIN_SECONDS)[resource]
        for resource in [*of_broker, *of_topics]
    }
    descriptions: Mapping[str, Future[Any]] = (
        admin.describe_topics(
            TopicCollection(list(topics)),
            include_authorized_operations=True,
            request_timeout=ADMIN_SECONDS,
        )
        if topics
        else {}
    )
    cluster = admin.describe_cluster(include_authorized_operations=True, request_timeout=ADMIN_SECONDS)
    told, _ = _answer(cluster, deadline)
    return ClusterFacts(
        topics={topic: _topic(descriptions[topic], settings.get(topic), deadline) for topic in topics},
        broker=_settings(settings[str(broker)], deadline) if broker is not None else None,
        may_create_topics=_may(told, AclOperation.CREATE) or None,
    )


def _topic(description: "Future[Any]", settings: "Future[Any] | None", deadline: float) -> TopicFacts:
    told, error = _answer(description, deadline)
    if told is None:
        return TopicFacts(denied=error is not None and error.code() in DENIED)
    replicas = [len(partition.replicas) for partition in told.partitions]
    return TopicFacts(
        partitions=len(told.partitions),
        replicas=min(replicas) if replicas else None,
        may_write=_may(told, AclOperation.WRITE),
        settings=_settings(settings, deadline) if settings is not None else None,
    )


def _may(told: Any, operation: Any) -> bool | None:
    """None: the brokers do not say (Kafka before 2.3)."""
    operations: Iterable[Any] | None = told.authorized_operations if told is not None else None
    if operations is None:
        return None
    return operation in operations or AclOperation.ALL in operations


def _settings(answer: "Future[Any]", deadline: float) -> Settings | None:
    told, _ = _answer(answer, deadline)
    return None if told is None else {name: str(entry.value) for name, entry in told.items()}


def _answer(future: "Future[Any]", deadline: float) -> tuple[Any, KafkaError | None]:
    """Looks at the failure and does not raise it: its traceback would hold the frames up to the one with the client, whose
    futures hold it. Such a ring is collected on any thread; on one of librdkafka's own the client's end aborts the process.
    """
    try:
        failure = future.exception(max(0.0, deadline - monotonic()))
    except FutureTimeoutError:
        return None, None
    if failure is None:
        return future.result(), None
    if not isinstance(failure, KafkaException):
        raise failure
    return None, failure.args[0]
