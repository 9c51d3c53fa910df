"""The four servers as containers, by testcontainers: where a Docker daemon of this machine answers.

Same versions, same settings and same verbs as the jars. Each listens on one port inside the container which is its port on
this machine's loopback interface as well: a restarted container keeps it, and Kafka reaches itself at the address that
it tells its clients. The data are in the container's own file system, which outlives stops and kills.
"""

from abc import abstractmethod
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound
from docker.models.containers import Container
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tests.services import schema_registry
from tests.services.dynamodb_local import DynamoDB
from tests.services.kafka import CLUSTER_ID, NODE_ID, SETTINGS, Kafka
from tests.services.process import GRACE_SECONDS
from tests.services.records import KILLED, ContainerRecord
from tests.services.s3 import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, VERSION, S3Server
from tests.services.schema_registry import SchemaRegistry
from tests.services.server import HOST, Server, ServerFailedError, free_port
from tests.services.unavailable import UnavailableError

LOG_LINES = 50


def outlive_this_process() -> None:
    """Containers launched from now on stay when this process has ended: `Record.end` ends them, nothing else."""
    testcontainers_config.ryuk_disabled = True


class ContainerServer(Server):
    """A server whose process is in a container."""

    image: str

    def __init__(self, directory: Path, *, log: Path | None = None) -> None:
        super().__init__(directory, log=log)
        self._launched: DockerContainer | None = None

    @abstractmethod
    def _configure(self, container: DockerContainer) -> None:
        """Gives the container the environment or the command that the server needs, to listen on `port`."""

    @classmethod
    def prepare(cls) -> None:
        try:
            client = docker.from_env()
            try:
                client.images.get(cls.image)
            except ImageNotFound:
                client.images.pull(cls.image)
            finally:
                client.close()
        except (DockerException, OSError) as refused:
            raise UnavailableError(f"Docker cannot pull {cls.image}: {refused}") from None

    @property
    def running(self) -> bool:
        return self._launched is not None and self._status() in ("running", "paused")

    @property
    def record(self) -> ContainerRecord:
        return ContainerRecord(
            variable=self.service.variable,
            endpoint=self.endpoint,
            directory=str(self.directory),
            container=str(self._container.id),
        )

    def launch(self) -> None:
        if self.running:
            raise RuntimeError(f"{self.service.name} is running already")
        if self._launched is None:
            container = DockerContainer(self.image)
            # On the loopback interface alone, which docker-py has and testcontainers' type does not.
            container.ports[f"{self.port}/tcp"] = (HOST, self.port)  # type: ignore[assignment]
            self._configure(container)
            self._launched = container.start()
        else:
            self._container.start()

    def stop(self) -> None:
        if self.running:
            self._wake()
            self._container.stop(timeout=int(GRACE_SECONDS))
            if self._container.wait()["StatusCode"] == KILLED:
                raise ServerFailedError(f"{self.service.name} did not stop on SIGTERM:\n{self._log_tail()}")

    def kill(self) -> None:
        if self.running:
            self._wake()
            self._container.kill()
            self._container.wait()

    def pause(self) -> None:
        self._expect_running()
        self._container.pause()

    def resume(self) -> None:
        self._expect_running()
        self._wake()

    def discard(self) -> None:
        if self._launched is not None:
            self._launched.stop()  # which is testcontainers' word for killing and removing
            self._launched = None

    @property
    def _container(self) -> Container:
        if self._launched is None:
            raise RuntimeError(f"{self.service.name} was never launched")
        return self._launched.get_wrapped_container()

    def _status(self) -> str:
        self._container.reload()
        return self._container.status

    def _wake(self) -> None:
        if self._status() == "paused":
            self._container.unpause()

    def _expect_running(self) -> None:
        if not self.running:
            raise RuntimeError(f"{self.service.name} does not run")

    def _log_tail(self) -> str:
        return self._container.logs(tail=LOG_LINES).decode("utf-8", errors="replace")


class KafkaContainer(Kafka, ContainerServer):
    image = "apache/kafka:4.3.1"

    def _configure(self, container: DockerContainer) -> None:
        controller = free_port()  # inside the container; any other than `port`
        settings = SETTINGS | {
            "process.roles": "broker,controller",
            "node.id": str(NODE_ID),
            "controller.quorum.voters": f"{NODE_ID}@{HOST}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://0.0.0.0:{self.port},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.endpoint}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }
        container.with_env("CLUSTER_ID", CLUSTER_ID)
        for name, value in settings.items():
            container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)


class DynamoDBLocalContainer(DynamoDB, ContainerServer):
    image = "amazon/dynamodb-local:3.1.0"

    def _configure(self, container: DockerContainer) -> None:
        # `.` is its home, the one folder known to be there and writable.
        container.with_command(
            f"-jar DynamoDBLocal.jar -sharedDb -dbPath . -disableTelemetry -port {self.port}"
        )


class ApicurioRegistryContainer(SchemaRegistry, ContainerServer):
    image = "apicurio/apicurio-registry-mem:2.6.13.Final"

    def _configure(self, container: DockerContainer) -> None:
        container.with_env("HTTP_PORT", str(self.port))
        container.with_env("REGISTRY_DATASOURCE_URL", schema_registry.database(Path("/tmp/registry")))  # noqa: S108 - the container's


class S3GatewayContainer(S3Server, ContainerServer):
    image = f"ghcr.io/versity/versitygw:{VERSION}"

    def _configure(self, container: DockerContainer) -> None:
        container.with_command(
            f"--access {ACCESS_KEY_ID} --secret {SECRET_ACCESS_KEY} --region {REGION} --port :{self.port} "
            "--keep-alive --quiet posix /tmp/vgw"  # a folder of the image
        )


# The slowest first: the others come up beside it.
CONTAINERS: tuple[type[ContainerServer], ...] = (
    ApicurioRegistryContainer,
    KafkaContainer,
    DynamoDBLocalContainer,
    S3GatewayContainer,
)
