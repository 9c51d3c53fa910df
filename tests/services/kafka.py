"""Apache Kafka: one node, broker and KRaft controller in one process."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.services import environment
from tests.services.java import JVM_OPTIONS, classpath, java_command
from tests.services.local_server import LocalServer
from tests.services.server import HOST, Server, ServerFailedError, free_port

NODE_ID = 1
CLUSTER_ID = "dynamodb-cdc-tests-all"  # 22 characters: a base64 UUID
# Only what a single quick node needs; all else is as operators have it (Kafka documentation, broker configs).
SETTINGS = {
    "auto.create.topics.enable": "true",
    # One replica is all there is.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # 50 partitions each by default, all created at the first use and read again at each start.
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    # Groups form at once, and may notice a lost member within a test's patience (6 s is the least by default).
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    # A transaction that its producer left open is aborted this soon after its timeout (10 s by default).
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    # A killed broker may register again only when its last session has timed out (9 s by default).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # 128 MB by default, allocated at the start.
    "log.cleaner.dedupe.buffer.size": "2097152",
}


class Kafka(Server):
    """A broker with transactions, groups and automatic topics; `endpoint` is its `bootstrap.servers`."""

    service = environment.KAFKA

    @property
    def endpoint(self) -> str:
        return f"{HOST}:{self.port}"

    def _answers(self) -> bool:
        # Metadata names a broker once the controller has let it serve clients.
        try:
            metadata = AdminClient({"bootstrap.servers": self.endpoint, "log_level": 0}).list_topics(
                timeout=2
            )
        except KafkaException:
            return False
        return NODE_ID in metadata.brokers


class KafkaBroker(Kafka, LocalServer):
    """As a process."""

    def __init__(
        self, directory: Path, *, log: Path | None = None, more: Mapping[str, str] | None = None
    ) -> None:
        """
        Args:
            more: settings beside, or instead of, what a single node needs.
        """
        super().__init__(directory, log=log)
        self._controller_port = free_port()
        self._more = dict(more or {})

    @classmethod
    def prepare(cls) -> None:
        java_command()
        classpath("kafka")

    def _command(self) -> list[str]:
        java = [
            java_command(),
            *JVM_OPTIONS,
            "-Xmx512m",
            "-cp",
            os.pathsep.join(map(str, classpath("kafka"))),
        ]
        properties = self.directory / "server.properties"
        if not properties.exists():
            properties.write_text(self._properties(), "utf-8")
            # Writes the feature levels, transactions' among them, that this release recommends: 0.5 s, once.
            format_storage = [
                *java,
                "kafka.tools.StorageTool",
                "format",
                "-t",
                CLUSTER_ID,
                "-c",
                str(properties),
            ]
            done = subprocess.run(format_storage, capture_output=True, text=True, check=False)
            if done.returncode:
                properties.unlink()
                raise ServerFailedError(f"kafka-storage format: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return [*java, "kafka.Kafka", str(properties)]

    def _properties(self) -> str:
        listeners = {"PLAINTEXT": self.port, "CONTROLLER": self._controller_port}
        settings = SETTINGS | {
            "process.roles": "broker,controller",
            "node.id": str(NODE_ID),
            "controller.quorum.voters": f"{NODE_ID}@{HOST}:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in listeners.items()),
            "advertised.listeners": f"PLAINTEXT://{self.endpoint}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.directory / "data"),
            **self._more,
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())


class GuardedBroker(KafkaBroker):
    """A broker that asks for a password and goes by ACLs, at `guarded_endpoint`; `endpoint` is its operator's.

    Through Maven alone: there is none as a container.

    Args:
        passwords: by user (SASL/PLAIN). They may do nothing until the operator says so.
    """

    def __init__(self, directory: Path, passwords: Mapping[str, str], *, log: Path | None = None) -> None:
        super().__init__(directory, log=log)
        self._guarded_port = free_port()
        users = " ".join(f'user_{name}="{password}"' for name, password in passwords.items())
        self._more = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "listeners": f"PLAINTEXT://{self.endpoint},CONTROLLER://{HOST}:{self._controller_port},"
            f"GUARDED://{self.guarded_endpoint}",
            "advertised.listeners": f"PLAINTEXT://{self.endpoint},GUARDED://{self.guarded_endpoint}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT",
            "listener.name.guarded.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.guarded.plain.sasl.jaas.config": (
                f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
            ),
        }

    @property
    def guarded_endpoint(self) -> str:
        return f"{HOST}:{self._guarded_port}"
