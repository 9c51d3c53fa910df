import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.kafka.config import STALL_SECONDS, KafkaConfig
from connectors.kafka.topics import MAX_LENGTH, check_template, longest_name, name_pattern, topic_name

TABLE_NAME = st.from_regex(r"[a-zA-Z0-9_.-]{3,255}", fullmatch=True)
"""Amazon DynamoDB Developer Guide, naming rules for tables."""


def config(**keys: Any) -> KafkaConfig:
    return KafkaConfig.model_validate(
        {"name": "bus", "type": "kafka", "bootstrap_servers": "localhost:9092", **keys}
    )


def refusal(**keys: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        config(**keys)
    return str(caught.value)


def test_defaults() -> None:
    ours = config()
    assert ours.topic == "cdc.{table}"
    assert ours.tombstones
    assert ours.headers
    assert ours.delivery == "at-least-once"
    assert ours.stall_seconds == STALL_SECONDS


@pytest.mark.parametrize("topic", ["cdc.{tabel}", "{0}", "{}", "{table!r}", "{table:>9}", "{table.upper}"])
def test_an_unknown_placeholder_is_told_what_is_allowed(topic: str) -> None:
    assert "{table}, {account}, {region}, {pipeline}" in refusal(topic=topic)


@pytest.mark.parametrize("topic", ["", "a b", "ä.{table}", "{table", "table}", "a/{table}", "a{{b}}"])
def test_a_template_that_makes_no_topic_name(topic: str) -> None:
    assert "{table}, {account}, {region}, {pipeline}" in refusal(topic=topic)


def test_exactly_once_is_not_in_this_version() -> None:
    assert "not in this version" in refusal(delivery="exactly-once")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable.idempotence", False),
        ("enable.gapless.guarantee", "false"),
        ("acks", 1),
        ("acks", "0"),
        ("request.required.acks", 1),
        ("partitioner", "consistent_random"),
        ("transactional.id", "mine"),
        ("bootstrap.servers", "elsewhere:9092"),
        ("metadata.broker.list", "elsewhere:9092"),
        ("delivery.report.only.error", True),
        ("error_cb", "print"),
        ("delivery.timeout.ms", 0),
        ("message.timeout.ms", "soon"),
    ],
)
def test_a_property_that_would_break_a_promise_is_refused_by_name(name: str, value: object) -> None:
    assert name in refusal(properties={name: value})


@pytest.mark.parametrize("acks", ["all", "-1", -1])
def test_a_property_that_says_what_holds_anyway_is_taken(acks: object) -> None:
    config(properties={"acks": acks, "enable.idempotence": True, "partitioner": "murmur2"})


def test_numbers_and_switches_become_text() -> None:
    values = {
        name: value.get_secret_value()
        for name, value in config(
            properties={"linger.ms": 5, "socket.keepalive.enable": True, "x": 0.5}
        ).properties.items()
    }
    assert values == {"linger.ms": "5", "socket.keepalive.enable": "true", "x": "0.5"}


def test_the_delivery_timeout_is_the_stall() -> None:
    assert config(properties={"delivery.timeout.ms": 2500}).stall_seconds == 2.5


def test_no_value_of_a_property_is_ever_shown() -> None:
    ours = config(properties={"sasl.password": "hunter2hunter2", "client.rack": "planted"})
    for shown in (repr(ours), str(ours), ours.model_dump_json()):
        assert "hunter2" not in shown
        assert "planted" not in shown
    message = refusal(properties={"sasl.password": "hunter2hunter2", "acks": "planted"})
    assert "hunter2" not in message
    assert "planted" not in message


def test_several_tables_need_topics_of_their_own() -> None:
    with pytest.raises(ValueError, match=r"without \{table\}"):
        config(topic="all").check_tables(["a", "b"])
    config(topic="all").check_tables(["a"])
    config(topic="{region}.{table}").check_tables(["a", "b"])


def test_a_table_whose_topic_would_be_too_long() -> None:
    with pytest.raises(ValueError, match="249"):
        config().check_tables(["t" * 246])
    config().check_tables(["t" * 245])


@given(table=TABLE_NAME)
def test_a_tables_topic_is_legal_or_refused(table: str) -> None:
    values = {"table": table, "account": "000000000000", "region": "eu-west-1", "pipeline": "p"}
    template = check_template("{account}.{region}.{table}")
    if len(table) > MAX_LENGTH - 23:
        with pytest.raises(ValueError, match="249"):
            topic_name(template, values)
        return
    name = topic_name(template, values)
    assert name == f"000000000000.eu-west-1.{table}"
    assert name_pattern(template, table=table, pipeline="p").fullmatch(name)


@pytest.mark.parametrize("table", ["..", "."])
def test_names_that_mean_directories_are_refused(table: str) -> None:
    with pytest.raises(ValueError, match="not a topic name"):
        longest_name("{table}", table=table, pipeline="p")


def test_the_entry_point_does_not_load_the_vendors_library() -> None:
    code = "import sys, connectors.kafka; sys.exit('confluent_kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
