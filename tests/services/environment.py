"""Where tests find the real services: environment variables first, then `.services/env`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".services"
ENV_FILE = FOLDER / "env"


@dataclass(frozen=True, kw_only=True)
class Service:
    """`name` for people; `variable` holds its address, in the environment or in `.services/env`."""

    name: str
    variable: str


KAFKA = Service(name="Apache Kafka", variable="KAFKA_BOOTSTRAP_SERVERS")
DYNAMODB = Service(name="DynamoDB Local", variable="DYNAMODB_ENDPOINT_URL")
SCHEMA_REGISTRY = Service(name="Apicurio Registry", variable="SCHEMA_REGISTRY_URL")
S3 = Service(name="Versity S3 Gateway", variable="S3_ENDPOINT_URL")
SERVICES = (KAFKA, DYNAMODB, SCHEMA_REGISTRY, S3)
# What a test that asks for one of `tests.services.fixtures` runs on.
SERVICES_BY_FIXTURE = {
    "kafka_bootstrap": KAFKA,
    "kafka_broker": KAFKA,
    "dynamodb_endpoint": DYNAMODB,
    "dynamodb_local": DYNAMODB,
    "dynamodb_of_module": DYNAMODB,
    "schema_registry_url": SCHEMA_REGISTRY,
    "schema_registry": SCHEMA_REGISTRY,
    "s3_endpoint": S3,
    "s3_server": S3,
}


def required() -> bool:
    """Whether a missing service is a failure, as it is in continuous integration: CDC_REQUIRE_SERVICES=1."""
    return os.environ.get("CDC_REQUIRE_SERVICES") == "1"


def cache_directory() -> Path:
    """Where downloads are kept for all checkouts of this user: `dynamodb-cdc/services` in XDG_CACHE_HOME."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dynamodb-cdc" / "services"


def address(service: Service) -> str | None:
    """The service's address, or None where neither the environment nor `.services/env` names one."""
    return os.environ.get(service.variable) or read_env().get(service.variable)


def read_env() -> dict[str, str]:
    """The `NAME=value` lines of `.services/env`; empty where the file is absent.

    Raises:
        ValueError: a line is not `NAME=value`.
    """
    if not ENV_FILE.exists():
        return {}
    values = {}
    for number, line in enumerate(ENV_FILE.read_text("utf-8").splitlines(), start=1):
        name, separator, value = line.partition("=")
        if not separator:
            raise ValueError(
                f"{ENV_FILE}:{number}: not NAME=value; run `python -m tests.services stop`, then `start`"
            )
        values[name] = value
    return values


def write_env(values: Mapping[str, str]) -> None:
    """Replaces `.services/env` whole; without values there is no file."""
    if not values:
        ENV_FILE.unlink(missing_ok=True)
        return
    FOLDER.mkdir(exist_ok=True)
    unfinished = ENV_FILE.with_suffix(".new")
    unfinished.write_text("".join(f"{name}={value}\n" for name, value in values.items()), "utf-8")
    unfinished.replace(ENV_FILE)
