"""What `cdc check` sees of a real cluster: a user's permissions, and settings of topics. It changes nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # without `as`
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from cdc.connector import Note, Seen
from cdc.errors import CdcError
from cdc.testing.sink_run import SinkRun
from connectors.kafka import CONNECTOR
from tests.services import fixtures
from tests.services.kafka import GuardedBroker
from tests.services.unavailable import UnavailableError

pytestmark = pytest.mark.integration

PASSWORDS = {"writer": "w-secret", "reader": "r-secret", "nobody": "n-secret"}


@pytest.fixture(scope="module")
def broker(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    """Of this module alone; `kafka_bootstrap` says whether brokers can be had."""
    try:
        GuardedBroker.prepare()
    except UnavailableError as reason:
        fixtures._absent(f"no {GuardedBroker.service.name} of this module's own: {reason}")
    server = GuardedBroker(tmp_path_factory.mktemp("guarded"), PASSWORDS)
    try:
        operator = AdminClient({"bootstrap.servers": server.start().endpoint})
        create(operator, "cdc.orders")
        create(operator, "compacted", **{"cleanup.policy": "compact", "max.message.bytes": "3000000"})
        create(operator, "stuck", **{"min.insync.replicas": "2", "max.message.bytes": "10000"})
        for topic in ("cdc.orders", "compacted", "stuck"):
            grant(operator, "writer", topic, AclOperation.WRITE, AclOperation.DESCRIBE_CONFIGS)
        grant(operator, "reader", "cdc.orders", AclOperation.READ)
        yield server
    finally:
        server.kill()


def create(operator: AdminClient, topic: str, **settings: str) -> None:
    operator.create_topics([NewTopic(topic, 2, 1, config=settings)])[topic].result(10)


def grant(operator: AdminClient, user: str, topic: str, *operations: AclOperation) -> None:
    for operation in operations:
        binding = AclBinding(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.LITERAL,
            f"User:{user}",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )
        operator.create_acls([binding])[binding].result(10)


def probe(broker: GuardedBroker, folder: Path, user: str, topic: str, **keys: object) -> Sequence[Seen]:
    properties = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": user,
        "sasl.password": PASSWORDS[user],
        **keys.pop("properties", {}),  # type: ignore[dict-item]
    }
    config = CONNECTOR.config.model_validate(
        {
            "name": "bus",
            "type": "kafka",
            "bootstrap_servers": broker.guarded_endpoint,
            "topic": topic,
            "properties": properties,
            **keys,
        }
    )
    before = topics(broker)
    seen = CONNECTOR.probe(config, SinkRun(lambda _: None, folder)._context)  # type: ignore[arg-type,return-value]
    assert topics(broker) == before, "nothing was created"
    return seen


def topics(broker: GuardedBroker) -> set[str]:
    return set(AdminClient({"bootstrap.servers": broker.endpoint}).list_topics(timeout=10).topics)


def problems(seen: Sequence[Seen]) -> list[Note | CdcError]:
    return [
        one for one in seen if isinstance(one, CdcError) or (isinstance(one, Note) and one.level == "problem")
    ]


def text(seen: Sequence[Seen]) -> str:
    return "\n".join(one.text if isinstance(one, Note) else str(one) for one in seen)


def test_a_user_who_may_write(broker: GuardedBroker, tmp_path: Path) -> None:
    seen = probe(broker, tmp_path, "writer", "cdc.{table}")
    assert not problems(seen)
    assert "topic cdc.orders: 2 partition(s), this user may write to it" in text(seen)
    assert "1 replica(s), min.insync.replicas 1: what one broker has counts as durable" in text(seen)
    assert "cleanup.policy delete" in text(seen)
    assert "max.message.bytes 1,048,588" in text(seen)


def test_a_user_who_may_only_read(broker: GuardedBroker, tmp_path: Path) -> None:
    seen = probe(broker, tmp_path, "reader", "cdc.{table}")
    (problem,) = problems(seen)
    assert isinstance(problem, Note)
    assert problem.text == "topic cdc.orders: this user may not write to it"
    assert "--operation Write" in problem.remedy
    assert "--topic cdc.orders" in problem.remedy
    assert "r-secret" not in text(seen)


def test_a_user_who_sees_nothing(broker: GuardedBroker, tmp_path: Path) -> None:
    (problem,) = problems(probe(broker, tmp_path, "nobody", "cdc.{table}"))
    assert isinstance(problem, Note)
    assert "may not describe it" in problem.text


def test_a_topic_that_brokers_would_create_stays_absent(broker: GuardedBroker, tmp_path: Path) -> None:
    """For the operator, who may do everything."""
    config = CONNECTOR.config.model_validate(
        {"name": "bus", "type": "kafka", "bootstrap_servers": broker.endpoint, "topic": "not-yet.{table}"}
    )
    seen = CONNECTOR.probe(config, SinkRun(lambda _: None, tmp_path)._context)  # type: ignore[arg-type,return-value]
    assert not problems(seen)
    line = "topic not-yet.orders: absent; the brokers create it at the first message, with their defaults"
    assert line in text(seen)
    assert "not-yet.orders" not in topics(broker)


def test_a_compacted_topic(broker: GuardedBroker, tmp_path: Path) -> None:
    raised = {"message.max.bytes": "2500000"}
    seen = probe(broker, tmp_path, "writer", "compacted", properties=raised)
    assert "cleanup.policy compact; tombstones take deleted items away" in text(seen)
    assert "messages up to 2,500,000 bytes" in text(seen)
    seen = probe(broker, tmp_path, "writer", "compacted", tombstones=False)
    assert "deleted items stay for ever" in text(seen)


def test_a_topic_that_takes_nothing(broker: GuardedBroker, tmp_path: Path) -> None:
    seen = probe(broker, tmp_path, "writer", "stuck")
    (problem,) = problems(seen)
    assert isinstance(problem, Note)
    assert "min.insync.replicas 2: no message is accepted" in problem.text
    warnings = [one.text for one in seen if isinstance(one, Note) and one.level == "warning"]
    assert any("messages up to 10,000 bytes" in line for line in warnings)
