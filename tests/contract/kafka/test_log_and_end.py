"""What the sink leaves behind: nothing secret in a log, no thread, no delay."""

import gc
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from cdc.errors import ErrorKind, SinkError
from cdc.testing.batches import Table
from cdc.testing.encoding import encode
from cdc.testing.sink_run import SinkRun
from connectors.kafka import CONNECTOR
from connectors.kafka.client import Redaction
from tests.contract.kafka.cluster import PRODUCE, Cluster
from tests.contract.kafka.engine import deliver
from tests.contract.kafka.pages import kafka_sink, pages

SECRETS = ("planted-password", "planted-user", "planted-item-value", "planted-key", "planted-rack")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


def test_no_item_and_no_secret_in_any_log(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(1)
    shard = Table().shard()
    shard.put("planted-key", text={"S": "planted-item-value"})
    shard.put("planted-key", text={"S": "planted-item-value" * 1000})
    shard.delete("planted-key")
    batch = shard.batch()
    properties: dict[str, str | int | bool] = {
        "debug": "all",
        "log_level": 7,
        "sasl.username": "planted-user",
        "sasl.password": "planted-password",
        "client.rack": "planted-rack",
        "message.max.bytes": 5000,
        "delivery.timeout.ms": 500,
    }
    with SinkRun(kafka_sink(cluster.bootstrap_servers, properties), tmp_path, encode=encode) as run:
        cluster.answer(PRODUCE, [KafkaError.MSG_SIZE_TOO_LARGE])
        deliver(run.sink, [[batch]])
        cluster.down()
        error = run.failure(run.write_only(batch))
        run.close(deadline=0)
    out, err = capfd.readouterr()
    text = "\n".join([caplog.text, out, err, str(error), repr(error)])
    assert "producer" in text  # the library did log, and here
    assert not err
    for secret in SECRETS:
        assert secret not in text


def test_redaction_hides_secrets_of_any_length_and_long_values_of_all() -> None:
    redact = Redaction({"sasl.password": "ab", "client.id": "long-name", "acks": "all", "x": ""})
    assert redact("ab and long-name and all") == "*** and *** and all"


def test_a_refused_login_is_denied_at_once(cluster: Cluster, tmp_path: Path) -> None:
    # The built-in cluster knows no SASL: it cuts the handshake short, as a broker does that has other mechanisms.
    properties: dict[str, str | int | bool] = {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "u",
        "sasl.password": "p",
    }
    with SinkRun(kafka_sink(cluster.bootstrap_servers, properties), tmp_path, open_sink=False) as run:
        began = monotonic()
        with pytest.raises(SinkError) as caught:
            run.sink.open()
        assert caught.value.kind is ErrorKind.ACCESS_DENIED
        assert monotonic() - began < 5


LIFE = """
import pathlib, sys, time
from cdc.testing.batches import Table
from cdc.testing.encoding import encode
from cdc.testing.sink_run import SinkRun
from tests.contract.kafka.engine import deliver
from tests.contract.kafka.pages import kafka_sink, pages

def threads():
    return sum(1 for _ in pathlib.Path("/proc/self/task").iterdir()) if sys.platform == "linux" else 1

batches = pages(Table().shard(), count=2, changes=10)
with SinkRun(kafka_sink(sys.argv[1]), pathlib.Path(sys.argv[2]), encode=encode) as run:
    deliver(run.sink, [batches])
    print("delivered", flush=True)
    if input() == "down":
        run.write_only(batches[1])
    began = time.monotonic()
    run.close(deadline=0.5)
    assert time.monotonic() - began < 2
limit = time.monotonic() + 5  # the kernel lists a thread for a moment after it was joined
while threads() > 1 and time.monotonic() < limit:
    time.sleep(0.01)
print(threads(), "thread left")
"""
"""A process of its own: the built-in cluster has threads too."""


@pytest.mark.parametrize("state", ["up", "down"])
def test_no_thread_outlives_close_and_the_process_ends_soon(
    cluster: Cluster, tmp_path: Path, state: str
) -> None:
    command = [sys.executable, "-c", LIFE, cluster.bootstrap_servers, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "delivered\n"
        if state == "down":
            cluster.down()
        began = monotonic()
        out, _ = process.communicate(f"{state}\n", timeout=30)
        assert out == "1 thread left\n"
        assert monotonic() - began < 8


def test_flush_answers_with_the_failure(cluster: Cluster, tmp_path: Path) -> None:
    (batch,) = pages(Table().shard(), count=1, changes=3)
    with SinkRun(
        kafka_sink(cluster.bootstrap_servers, {"delivery.timeout.ms": 400}), tmp_path, encode=encode
    ) as run:
        cluster.down()
        run.write(batch)
        assert isinstance(run.sink.flush(deadline=10).exception(10), SinkError)
        run.write_only(batch)
        late = run.sink.flush(deadline=0.05).exception(10)
        assert isinstance(late, SinkError)
        assert "not flushed in time" in late.message


class TestProbe:
    @pytest.fixture(autouse=True)
    def hurried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """This cluster does not answer questions of administration."""
        monkeypatch.setattr("connectors.kafka.inquiry.ADMIN_SECONDS", 0.3)

    def probe(self, cluster: Cluster, tmp_path: Path, **keys: object) -> list[str]:
        config = CONNECTOR.config.model_validate(
            {"name": "bus", "type": "kafka", "bootstrap_servers": cluster.bootstrap_servers, **keys}
        )
        return list(CONNECTOR.probe(config, SinkRun(lambda _: None, tmp_path)._context))  # type: ignore[arg-type,return-value]

    def test_says_what_topics_there_are(self, cluster: Cluster, tmp_path: Path) -> None:
        cluster.create_topic("cdc.orders", partitions=5)
        lines = self.probe(cluster, tmp_path)
        assert lines == [
            f"{cluster.bootstrap_servers}: connected, 1 broker(s)",
            "topic cdc.orders: 5 partition(s)",
        ]

    def test_finds_a_topic_whose_account_is_not_known_yet(self, cluster: Cluster, tmp_path: Path) -> None:
        cluster.create_topic("000000000000.eu-west-1.orders", partitions=2)
        lines = self.probe(cluster, tmp_path, topic="{account}.{region}.{table}")
        assert lines[1:] == ["topic 000000000000.eu-west-1.orders: 2 partition(s)"]

    def test_an_absent_topic_is_told_and_not_created(self, cluster: Cluster, tmp_path: Path) -> None:
        for _ in range(2):
            lines = self.probe(cluster, tmp_path)
            assert lines[1] == "topic cdc.orders: absent; whether the brokers create topics could not be read"

    def test_its_client_ends_with_it(self, cluster: Cluster, tmp_path: Path) -> None:
        """And not when the garbage collector finds it: that can be on one of librdkafka's own threads, which aborts."""
        gc.collect()
        gc.disable()
        try:
            self.probe(cluster, tmp_path)
            assert not [client for client in gc.get_objects() if isinstance(client, AdminClient)]
        finally:
            gc.enable()

    def test_an_unreachable_cluster(
        self, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("connectors.kafka.probe.CONNECT_SECONDS", 0.5)
        cluster.down()
        with pytest.raises(SinkError) as caught:
            self.probe(cluster, tmp_path)
        assert caught.value.kind is ErrorKind.UNAVAILABLE
        assert cluster.bootstrap_servers in caught.value.message


def test_logs_go_to_a_logger_of_their_own(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "connectors.kafka.librdkafka")
    (batch,) = pages(Table().shard(), count=1, changes=1)
    with SinkRun(kafka_sink(cluster.bootstrap_servers, {"debug": "broker"}), tmp_path, encode=encode) as run:
        deliver(run.sink, [[batch]])
    assert {record.name for record in caplog.records} == {"connectors.kafka.librdkafka"}
    assert not any("gapless" in record.getMessage() for record in caplog.records)
