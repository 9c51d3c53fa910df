"""What no client may do: whoever tests against the simulation makes happen what the service does when it likes."""

from collections.abc import Sequence

from cdc.testing.sim.faults import THROTTLED, TROUBLES, Failure, Faults, Predicate
from cdc.testing.sim.shards import Shard
from cdc.testing.sim.stream import Stream
from cdc.testing.sim.streams import Streams


class Control:
    """Shards are named by the id of the shard; without one it is the first open shard."""

    def __init__(self, streams: Streams, faults: Faults) -> None:
        self._streams, self._faults = streams, faults

    # Shards

    def split(self, stream_arn: str, shard_id: str | None = None) -> list[str]:
        """Closes the shard, which has two children; their ids.

        Raises:
            ValueError: it is closed, or there is none.
        """
        return self._close(stream_arn, shard_id, split=True)

    def roll(self, stream_arn: str, shard_id: str | None = None) -> list[str]:
        """Closes the shard, which has one child; its id.

        Raises:
            ValueError: it is closed, or there is none.
        """
        return self._close(stream_arn, shard_id, split=False)

    def trim(self, stream_arn: str, shard_id: str | None = None, *, records: int | None = None) -> None:
        """The oldest records of a shard, open or closed, cannot be read any more; all of them without a number. A closed
        shard without any leaves the stream. The service never does so before 24 hours."""
        stream = self._streams.settled(stream_arn)
        stream.trim(_find(stream, shard_id), records)

    def _close(self, stream_arn: str, shard_id: str | None, *, split: bool) -> list[str]:
        stream = self._streams.settled(stream_arn)
        shard = _find(stream, shard_id)
        return [child.id for child in stream.close(shard, self._streams.now(), split=split)]

    # Faults

    def fail(
        self,
        operation: str | None,
        error: Failure,
        *,
        times: int = 1,
        where: Predicate | None = None,
        lost: bool = False,
    ) -> None:
        """The next calls of this operation (None: of any), whose request is so, fail.

        Args:
            lost: they are carried out all the same.
        """
        self._faults.plan(operation, error, times=times, where=where, lost=lost)

    def throttle(self, operation: str | None, *, times: int = 1, where: Predicate | None = None) -> None:
        self.fail(operation, THROTTLED, times=times, where=where)

    def limit(self, operation: str, per_second: float | None, *, error: Failure = THROTTLED) -> None:
        """From now on calls of the operation beyond so many a second fail; what was not used is saved up for one second.

        None ends it. The service's own limits are 5 for ListStreams and 10 for DescribeStream (API reference).
        """
        self._faults.limit(operation, per_second, error, now=self._streams.now())

    def chance(
        self,
        operation: str | None,
        probability: float,
        errors: Sequence[Failure] = TROUBLES,
        *,
        lost: float = 0.0,
    ) -> None:
        """From now on calls of this operation (None: of any) fail with this probability; a share `lost` of those is
        carried out. 0 ends it."""
        self._faults.chance(operation, probability, errors, lost=lost)

    def calm(self) -> None:
        """No more faults."""
        self._faults.clear()

    @property
    def faults(self) -> int:
        """So many calls failed."""
        return self._faults.count


def _find(stream: Stream, shard_id: str | None) -> Shard:
    if shard_id is None:
        if not stream.open_shards:
            raise ValueError(f"{stream.arn} has no open shard")
        return stream.open_shards[0]
    shard = stream.find(shard_id)
    if shard is None:
        raise ValueError(f"{stream.arn} has no shard {shard_id}")
    return shard
