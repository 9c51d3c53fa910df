"""The simulated service: every operation of both APIs, the truth about what was written, and what no client may do."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.control import Control
from cdc.testing.sim.faults import Faults
from cdc.testing.sim.records import encode
from cdc.testing.sim.shards import Record
from cdc.testing.sim.stream import Stream
from cdc.testing.sim.streams import Streams
from cdc.testing.sim.tables import Tables


class Sim:
    """DynamoDB with Streams, of one account in one region. Not thread-safe: one call after the other.

    What happens by time alone (rollovers, trimming, publication) is found to have happened when somebody asks. Equal
    seeds and equal calls at equal times give equal answers.

    Args:
        now: the service's clock, epoch seconds; never goes back.
        seed: of everything that the service is free to choose.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        seed: int = 0,
        behaviour: Behaviour | None = None,
        region: str = "eu-west-1",
        account: str = "000000000000",
    ) -> None:
        behaviour = behaviour or Behaviour()
        self._faults = Faults(str(seed))
        self.streams = Streams(now=now, seed=str(seed), behaviour=behaviour, region=region)
        self.tables = Tables(
            now=now,
            rng=Random(f"{seed} tables"),
            behaviour=behaviour,
            streams=self.streams,
            region=region,
            account=account,
        )
        self.control = Control(self.streams, self._faults)
        self._handlers: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            **self.tables.handlers(),
            **self.streams.handlers(),
        }

    @property
    def operations(self) -> Sequence[str]:
        """Those that are simulated."""
        return sorted(self._handlers)

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one call, in the shapes of the wire: `{"S": ...}`, binary as base64 text, times as numbers.

        Raises:
            ServiceError: the service answered with an error.
            NoAnswerError: it did not answer.
            KeyError: an operation that is not simulated.
        """
        handler = self._handlers[operation]
        self._strike(operation, request, handler)
        return handler(request)

    def answer(self, operation: str, request: Mapping[str, Any]) -> bytes:
        """The same as the body of an HTTP answer, JSON."""
        if operation != "GetRecords":
            return encode(self.call(operation, request))
        self._strike(operation, request, self.streams.read)
        bodies, following = self.streams.read(request)
        end = b"" if following is None else b',"NextShardIterator":' + encode(following)
        return b'{"Records":[%b]%b}' % (b",".join(bodies), end)

    def _strike(
        self, operation: str, request: Mapping[str, Any], handler: Callable[[Mapping[str, Any]], object]
    ) -> None:
        """
        Raises:
            ServiceError, NoAnswerError: the call is to fail. Where only its answer is to be lost it is carried out first.
        """
        fault = self._faults.draw(operation, request, self.streams.now())
        if fault is None:
            return
        if fault.lost:
            handler(request)
        raise fault.raised()

    def log(self, table: str) -> list[Record]:
        """Every record that a table of this name ever wrote, on any of its streams, in the order of the writes; also what
        is trimmed, or not published yet."""
        return [record for stream in self.streams.of_table(table) for record in stream.records]

    def stream(self, table: str) -> Stream:
        """The newest stream of the table.

        Raises:
            LookupError: it never had one.
        """
        streams = self.streams.of_table(table)
        if not streams:
            raise LookupError(f"{table} never had a stream")
        return streams[-1]
