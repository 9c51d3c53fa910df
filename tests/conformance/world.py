"""The world that a subject lives in: the simulated service, virtual time, and destinations that go down and come back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.failures import NoAnswerError, ServiceError
from cdc.testing.sim.service import Sim
from tests.sim.engine.virtual_time import VirtualTime

MINUTE = 60.0
HOUR = 3600.0
DAY = 24 * HOUR

_TROUBLES = {"ThrottlingException", "LimitExceededException", "InternalServerError", "ServiceUnavailable"}


@dataclass(frozen=True, slots=True)
class Written:
    """One change as the service has it, or had it."""

    stream: str
    shard: str
    sequence: int
    item: str
    """The table and the key; the items of a table that was created anew are those of the old one."""
    event_name: str
    by_ttl: bool
    at: float
    """Epoch seconds."""
    trimmed: bool
    """It cannot be read any more."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One change as it became durable at a destination; a redelivered one each time."""

    stream: str
    shard: str
    sequence: int
    at: float
    """Epoch seconds of the service's clock."""
    record: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)
    """As the subject read it: `eventName`, `userIdentity`, `dynamodb`."""


@dataclass
class Destination:
    """Where a sink writes. It outlives every process; what is in `arrived` is durable.

    `exactly_once`: the sink promises it, as it keeps its positions with the data. At the others a crash may repeat.
    """

    name: str
    exactly_once: bool = False
    accept_seconds: float = 0.05
    """From a write to its acceptance, on average; twice as much at most."""
    commit_seconds: float = 0.5
    """From the acceptance to durability; likewise."""
    down_until: float = 0.0
    """`World.time.now`: until then every call of it fails."""
    arrived: list[Arrival] = field(default_factory=list)
    kept: dict[Any, Any] = field(default_factory=dict)
    """What the sink keeps with the data: its positions."""


class World:
    """One table unless more are created, two sinks unless others are named.

    Args:
        behaviour: of the simulated service.
        destinations: default `bus` (at least once) and `lake` (exactly once).
        create: whether the table `orders` is created.
    """

    TABLE = "orders"

    def __init__(
        self,
        *,
        seed: int = 0,
        behaviour: Behaviour | None = None,
        destinations: Sequence[Destination] | None = None,
        create: bool = True,
    ) -> None:
        self.time = VirtualTime()
        self.seed = seed
        self.sim = Sim(now=self.time.service_now, seed=seed, behaviour=behaviour or Behaviour())
        self._written = 0
        made = destinations or (Destination("bus"), Destination("lake", exactly_once=True))
        self.destinations = {one.name: one for one in made}
        if create:
            self.create_table()
            self.advance(1.0)

    # Time

    @property
    def now(self) -> float:
        """Epoch seconds of the service's clock, which never jumps; that of the subject's host may (`time.jumped`)."""
        return self.time.service_now()

    def advance(self, seconds: float) -> None:
        """Lets time pass for everybody: processes, destinations, and what was scheduled with `time.later`."""
        self.time.advance(self.time.now + seconds)

    # The table

    def create_table(self, table: str = TABLE, *, view: str = "NEW_AND_OLD_IMAGES") -> None:
        self.sim.call(
            "CreateTable",
            {
                "TableName": table,
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
                "StreamSpecification": {"StreamEnabled": True, "StreamViewType": view},
            },
        )

    def put(self, key: str, value: int | str, *, table: str = TABLE) -> None:
        item = {"pk": {"S": key}, "value": {"S": str(value)}}
        self.sim.call("PutItem", {"TableName": table, "Item": item})

    def delete(self, key: str, *, table: str = TABLE) -> None:
        self.sim.call("DeleteItem", {"TableName": table, "Key": {"pk": {"S": key}}})

    def write(self, count: int, *, keys: int = 4, seconds: float = 0.0, table: str = TABLE) -> None:
        """So many changes, to these many items in turn, spread over so much time, in which everything else goes on."""
        for _ in range(count):
            self._written += 1
            self.put(f"item-{self._written % keys}", self._written, table=table)
            if seconds:
                self.advance(seconds / count)

    def log(self, table: str = TABLE) -> list[Written]:
        """Every change on any stream of a table of this name, in the order of the writes."""
        return [
            Written(
                one.stream,
                one.shard.id,
                one.sequence,
                json.dumps([table, one.change.keys], sort_keys=True),
                one.change.event_name,
                one.change.by_ttl,
                one.written_at,
                one.shard.is_trimmed(one),
            )
            for one in self.sim.log(table)
        ]

    def stream(self, table: str = TABLE) -> str:
        """The ARN of its present stream."""
        described = self.ask("DescribeTable", {"TableName": table})
        return str(described["Table"]["LatestStreamArn"])

    def shards(self, stream: str | None = None) -> list[Mapping[str, Any]]:
        """As `DescribeStream` names them, all pages."""
        arn = stream or self.stream()
        found: list[Mapping[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            page = self.ask("DescribeStream", {"StreamArn": arn, **more})["StreamDescription"]
            found += page["Shards"]
            if "LastEvaluatedShardId" not in page:
                return found
            more = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}

    def leaves(self, stream: str | None = None) -> list[str]:
        """Ids of the open shards, also of those that no listing names yet."""
        return [shard.id for shard in self.sim.streams.settled(stream or self.stream()).open_shards]

    def ask(self, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """As `sim.call` without a side effect, but for faults: those are the subject's."""
        while True:
            try:
                return self.sim.call(operation, request)
            except NoAnswerError:
                continue
            except ServiceError as error:
                if error.code not in _TROUBLES:
                    raise

    def split(self, shard: str, stream: str | None = None) -> None:
        """Closes an open shard, which has two children then."""
        self.sim.control.split(stream or self.stream(), shard)

    def roll(self, stream: str | None = None) -> None:
        """Closes every open shard, each of which has one child then."""
        for shard in self.leaves(stream):
            self.sim.control.roll(stream or self.stream(), shard)

    def enable_stream(self, enabled: bool, *, table: str = TABLE) -> None:
        specification: dict[str, Any] = {"StreamEnabled": enabled}
        if enabled:
            specification["StreamViewType"] = "NEW_AND_OLD_IMAGES"
        self.sim.call("UpdateTable", {"TableName": table, "StreamSpecification": specification})

    def fail(
        self,
        operation: str,
        error: ServiceError | NoAnswerError,
        *,
        times: int = 1,
        where: Mapping[str, str] | None = None,
    ) -> None:
        """The next calls with these arguments fail."""
        asked = (where or {}).items()
        self.sim.control.fail(operation, error, times=times, where=lambda request: asked <= request.items())

    # Destinations

    def outage(self, destination: str, seconds: float) -> None:
        """It is down from now on."""
        self.destinations[destination].down_until = self.time.now + seconds
