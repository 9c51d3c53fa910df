"""A source table with a stream, a pipeline with the three sinks, and what they hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from tests.integration.pipeline.destinations import VERSION_ATTRIBUTE, Deliveries, Lake, Topic, scan
from tests.integration.pipeline.journal import Journal
from tests.integration.pipeline.oracle import (
    Verdict,
    folded,
    judge_items,
    judge_log,
    judge_replica,
    last_states,
)
from tests.integration.pipeline.places import Folders, Places
from tests.integration.pipeline.process import Pipeline
from tests.integration.pipeline.values import item_of
from tests.integration.pipeline.workload import REGION, Workload, client_of, create_table

BUS, LAKE, REPLICA = "bus", "lake", "replica"
SINKS = (BUS, LAKE, REPLICA)


class Scene:
    """Tables of names that no other test has; everything else is in `folder`.

    Args:
        kafka: `bootstrap.servers`.
        dynamodb: endpoint of the source, and of the replica's tables.
        replica: endpoint under which the pipeline knows the replica; default: `dynamodb`.
        source_access: what the pipeline has other than `dynamodb` to reach the source, and as whom.
        replica_access: likewise, the replica.
        flush_seconds: how long the lake keeps rows back.
        places: of the lake, the schemas and the positions; default: `folder`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kafka: str,
        dynamodb: str,
        replica: str | None = None,
        source_access: Mapping[str, str] | None = None,
        replica_access: Mapping[str, str] | None = None,
        flush_seconds: float = 1,
        places: Places | None = None,
    ) -> None:
        unique = uuid4().hex[:12]
        self.dynamodb = dynamodb
        self.table = f"orders-{unique}"
        self.replica_table = f"replica-{unique}"
        self.client: Any = client_of(dynamodb)
        create_table(self.client, self.table)
        create_table(self.client, self.replica_table, stream=False)
        self.lake_folder = folder / "lake"
        self.places = places or Folders(folder)
        self.pipeline = Pipeline(
            folder,
            name=f"orders-{unique}",
            source={
                "type": "dynamodb-streams",
                "tables": [self.table],
                "region": REGION,
                "endpoint_url": dynamodb,
                "idle_poll_seconds": 0.2,
                **(source_access or {}),
            },
            sinks=[
                {"name": BUS, "type": "kafka", "bootstrap_servers": kafka, "topic": "cdc.{table}"},
                {
                    "name": LAKE,
                    "type": "lake",
                    **self.places.lake,
                    "format": "avro",
                    "flush_after_seconds": flush_seconds,
                },
                {
                    "name": REPLICA,
                    "type": "replica",
                    "table": self.replica_table,
                    "region": REGION,
                    "endpoint_url": replica or dynamodb,
                    **(replica_access or {}),
                },
            ],
            sections=self.places.sections,
        )
        self.topic = Topic(kafka, f"cdc.{self.table}", self.places.schema)
        self.lake = Lake(self.places, self.table)

    def workload(self, *, seed: int, changes: int, key_count: int) -> Workload:
        return Workload(self.dynamodb, self.table, seed=seed, changes=changes, key_count=key_count)

    def newest(self) -> dict[str, str]:
        """By sink the newest version that it holds; empty if it holds none."""
        replica = scan(self.client, self.replica_table).values()
        return {
            BUS: newest_of(self.topic.read()),
            LAKE: newest_of(self.lake.read()),
            REPLICA: max((item[VERSION_ATTRIBUTE]["S"] for item in replica), default=""),
        }

    def judge(self, journal: Journal) -> list[Verdict]:
        """Folded topic = lake = replica = source table = what was written."""
        topic, lake = self.topic.read(), self.lake.read()
        source = {key: item_of(item) for key, item in scan(self.client, self.table).items()}
        verdicts = [
            judge_items("source table", last_states(journal), source),
            judge_log("topic", journal, topic, self.topic.faults()),
            judge_log("lake", journal, lake, self.lake.errors),
        ]
        for name, deliveries in (("folded topic", topic), ("folded lake", lake)):
            items = {key: item_of(change.item or {}) for key, change in folded(deliveries).items()}
            verdicts.append(judge_items(name, source, items))
        verdicts.append(judge_replica("replica", source, scan(self.client, self.replica_table), topic))
        return verdicts

    def close(self) -> None:
        self.topic.close()
        self.pipeline.__exit__()
        self.places.close()
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def newest_of(deliveries: Deliveries) -> str:
    return max((change.version for changes in deliveries.values() for change in changes), default="")


def redelivered(deliveries: Deliveries) -> int:
    """Arrivals of changes that had arrived before."""
    return sum(len(changes) - len({change.version for change in changes}) for changes in deliveries.values())
