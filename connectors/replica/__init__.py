"""Writes the changes of a table to another table: another region, account or endpoint.

Every item of the replica carries `_cdc_version`, the version of the change that wrote it, and every delete leaves a
tombstone in a side table, so that a late or repeated write never brings an older state back (`guard`).
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from cdc.connector import (
    AwsAccess,
    ConfigModel,
    Seen,
    SinkConfig,
    SinkConnector,
    SinkContext,
    Statement,
    arn_start,
)
from cdc.ports import Sink

if TYPE_CHECKING:
    from connectors.replica.sink import ReplicaSink

_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")
"""Naming rules of tables (Developer Guide, "Naming rules and data types")."""


def _checked_template(template: str, field: str) -> str:
    name = template.replace(f"{{{field}}}", "xyz")
    if not _TABLE.fullmatch(name):
        msg = f"a table name is 3 to 255 of a-z A-Z 0-9 _ - . and may contain {{{field}}}"
        raise ValueError(msg)
    return template


class TombstonesConfig(ConfigModel):
    """The side table that remembers deletes; in the replica's account and region."""

    create: bool = True
    """Whether `open` creates the table (on demand, with TTL) where it is missing."""
    table: str = "_cdc_{pipeline}_tombstones"
    """Its name. `{pipeline}` is the pipeline's."""

    @field_validator("table")
    @classmethod
    def _is_a_table_name(cls, value: str) -> str:
        return _checked_template(value, "pipeline")


class ReplicaConfig(AwsAccess, SinkConfig):
    """The items, kept the same in another table."""

    type: Literal["replica"]
    table: str = "{table}"
    """Name of the replica, which has to exist with the source's key schema. `{table}` is the source table's name."""
    guard: Literal["versioned"] = "versioned"
    """`versioned`: each item carries the version of its last change, and nothing older overwrites it.

    Each item of the replica carries `_cdc_version`. A source item that has an attribute of that name itself (the
    source is a replica of another table) is refused: it becomes a dead letter."""
    tombstones: TombstonesConfig = TombstonesConfig()
    tombstone_days: Annotated[int, Field(ge=2, le=3650)] = 7
    """How long a delete is remembered. At least two days: a change may be read when it is a day old, and is written
    within a day of that."""
    max_in_flight: Annotated[int, Field(ge=1, le=256)] = 16
    """Items that are being written at the same time."""

    @field_validator("guard", mode="before")
    @classmethod
    def _is_built(cls, value: object) -> object:
        if value in ("side-table", "none"):
            msg = f"guard {value!s}: not in this version; the guard of this version is `versioned`"
            raise ValueError(msg)
        return value

    @field_validator("table")
    @classmethod
    def _is_a_table_name(cls, value: str) -> str:
        return _checked_template(value, "table")

    def check_tables(self, tables: Sequence[str]) -> None:
        if len(set(tables)) > 1 and "{table}" not in self.table:
            # Versions compare within one source table only, and items of two tables may have equal keys.
            msg = f"one replica table ({self.table}) cannot take {len(set(tables))} source tables: use {{table}} in it"
            raise ValueError(msg)
        if self.tombstones.table in {self.replica_of(table) for table in tables}:
            raise ValueError("the tombstones need a table of their own")

    def replica_of(self, table: str) -> str:
        """The replica's name for this source table."""
        return self.table.replace("{table}", table)

    def table_arn(self, table: str) -> str:
        """In the replica's account and region, as far as they are configured."""
        return f"{arn_start(self, 'dynamodb')}table/{table}"

    def tombstone_table(self, pipeline: str) -> str:
        return self.tombstones.table.replace("{pipeline}", pipeline)


def _sink(config: ReplicaConfig, context: SinkContext) -> "ReplicaSink":
    from connectors.replica.sink import ReplicaSink

    return ReplicaSink(config, context)


def _build(config: ReplicaConfig, context: SinkContext) -> Sink:
    return _sink(config, context)


def _probe(config: ReplicaConfig, context: SinkContext) -> Sequence[Seen]:
    from connectors.replica.probe import probe

    return probe(config, context)


def _guarded_seconds(config: ReplicaConfig) -> float:
    """As long as the delete that came after a put is remembered."""
    return config.tombstone_days * 24 * 3600.0


def _permissions(config: ReplicaConfig, context: SinkContext) -> Sequence[Statement]:
    """Service Authorization Reference, Amazon DynamoDB: actions and resource types."""
    tables = dict.fromkeys(config.table_arn(config.replica_of(source)) for source in context.tables)
    side = (config.table_arn(config.tombstone_table(context.pipeline)),)
    of_items = ("dynamodb:PutItem", "dynamodb:DeleteItem")
    statements = [
        Statement("Replica", ("dynamodb:DescribeTable", *of_items), tuple(tables), "nothing is written"),
        Statement(
            "Tombstones",
            ("dynamodb:DescribeTable", "dynamodb:PutItem", "dynamodb:ConditionCheckItem"),
            side,
            "nothing is inserted and nothing deleted",
        ),
    ]
    if config.tombstones.create:
        create = ("dynamodb:CreateTable", "dynamodb:DescribeTimeToLive", "dynamodb:UpdateTimeToLive")
        statements.append(
            Statement("CreateTombstones", create, side, "the table of tombstones is not made, or keeps all")
        )
    return statements


CONNECTOR = SinkConnector(
    config=ReplicaConfig,
    build=_build,
    probe=_probe,
    envelope=None,
    needs_new_image=True,
    guarded_seconds=_guarded_seconds,
    permissions=_permissions,
)
