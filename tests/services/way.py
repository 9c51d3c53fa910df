"""How the services are had on this machine: as jars through Maven (and one Go command), or as containers."""

import os
from dataclasses import dataclass
from enum import Enum
from functools import cache

from tests.services.docker_daemon import no_daemon
from tests.services.dynamodb_local import DynamoDBLocal
from tests.services.environment import Service
from tests.services.kafka import KafkaBroker
from tests.services.s3 import S3Gateway
from tests.services.schema_registry import ApicurioRegistry
from tests.services.server import Server
from tests.services.unavailable import UnavailableError

VARIABLE = "CDC_SERVICES"


class Way(Enum):
    """The values of CDC_SERVICES."""

    MAVEN = "maven"
    CONTAINERS = "containers"


TOLD = {Way.MAVEN: "jars through Maven", Way.CONTAINERS: "containers, by Docker"}
OTHER = {Way.MAVEN: "the container way was not run", Way.CONTAINERS: "the Maven way was not run"}
# The slowest first: the others come up beside it.
LOCAL_SERVERS: tuple[type[Server], ...] = (ApicurioRegistry, DynamoDBLocal, S3Gateway, KafkaBroker)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """`reason` says why not the other way. As a string it is for people, and says what was not run."""

    way: Way
    reason: str

    def __str__(self) -> str:
        return f"services: {TOLD[self.way]}; {OTHER[self.way]}: {self.reason}"

    @property
    def servers(self) -> tuple[type[Server], ...]:
        """One for each service, the slowest first."""
        if self.way is Way.MAVEN:
            return LOCAL_SERVERS
        from tests.services.containers import CONTAINERS

        return CONTAINERS

    def server(self, service: Service) -> type[Server]:
        """The one that serves `service`."""
        (found,) = (server for server in self.servers if server.service == service)
        return found


@cache
def decision() -> Decision:
    """Containers where a Docker daemon of this machine answers, unless CDC_SERVICES says otherwise. Asked once.

    Raises:
        UnavailableError: CDC_SERVICES=containers, and no daemon answers.
        ValueError: CDC_SERVICES is something else than `maven` or `containers`.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted and wanted not in {way.value for way in Way}:
        raise ValueError(f"{VARIABLE}={wanted}: may be {' or '.join(way.value for way in Way)}")
    way = Way(wanted) if wanted else None
    if way is Way.MAVEN:
        return Decision(way=Way.MAVEN, reason=f"{VARIABLE}={way.value}")

    refused = no_daemon()
    if way is Way.CONTAINERS:
        if refused is not None:
            raise UnavailableError(
                f"{VARIABLE}={way.value}, but {refused}: start Docker, or unset {VARIABLE}"
            )
        return Decision(way=way, reason=f"{VARIABLE}={way.value}")
    if refused is not None:
        return Decision(way=Way.MAVEN, reason=refused)
    return Decision(
        way=Way.CONTAINERS, reason=f"a Docker daemon answers, and {VARIABLE} is not {Way.MAVEN.value}"
    )
