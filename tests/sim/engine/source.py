"""The shipped connector on the simulated service, with troubles on the way, and with a look at what the service is asked."""

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from cdc.testing.sim.failures import NoAnswerError, ServiceError
from cdc.testing.sim.service import Sim
from connectors.dynamodb_streams.config import DynamoDBStreamsConfig
from connectors.dynamodb_streams.source import DynamoDBStreams
from tests.dynamodb_streams.sim_api import SimApi
from tests.sim.engine.dice import Dice
from tests.sim.engine.plan import SourceFaults

T = TypeVar("T")

_TROUBLES: dict[str, ServiceError | NoAnswerError] = {
    "throttled": ServiceError("ThrottlingException", "Rate exceeded"),
    "limit exceeded": ServiceError("LimitExceededException", "Too many operations for a given subscriber"),
    "server error": ServiceError("InternalServerError", "Internal server error", status=500),
    "unavailable": ServiceError("ServiceUnavailable", "Service is unavailable", status=503),
    "no answer": NoAnswerError("no answer in time"),
}
_EXPIRED = ServiceError("ExpiredIteratorException", "The shard iterator is expired")


class TroubledApi(SimApi):
    """`SimApi` whose calls fail by chance; each operation has dice of its own."""

    def __init__(self, sim: Sim, dice: Dice, troubles: SourceFaults, faults: Counter[str]) -> None:
        super().__init__(sim)
        self._control = sim.control
        self._dice = dice
        self._troubles = troubles
        self._faults = faults
        self._names = list(_TROUBLES)

    def calm(self) -> None:
        """No more troubles."""
        self._troubles = SourceFaults()

    def call(self, operation: str, place: str, parse: Callable[[bytes], T], **arguments: Any) -> T:
        troubles = self._troubles
        if troubles != SourceFaults():
            dice = self._dice.of(f"source {operation}")
            drawn = dice.random()
            if drawn < troubles.trouble:
                name = dice.choice(self._names)
                self._faults[f"source: {name}"] += 1
                self._control.fail(operation, _TROUBLES[name], lost=dice.random() < troubles.lost)
            elif operation == "GetRecords" and drawn < troubles.trouble + troubles.expired:
                self._faults["source: iterator expired"] += 1
                self._control.fail(operation, _EXPIRED)
            elif drawn > 1.0 - troubles.damaged:
                self._faults["source: damaged answer"] += 1
                return super().call(operation, place, lambda body: parse(body[: len(body) // 2]), **arguments)
        return super().call(operation, place, parse, **arguments)


def source_on(api: SimApi, tables: list[str]) -> DynamoDBStreams:
    config = DynamoDBStreamsConfig(type="dynamodb-streams", tables=tuple(tables), region=SimApi.region)
    return DynamoDBStreams(config, api)
