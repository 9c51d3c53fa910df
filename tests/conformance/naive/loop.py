"""The loop that everyone writes with boto3. Each choice is somebody's, and stands beside it.

It is no straw man: it pages nothing where nobody pages, but it keeps checkpoints, finds new shards, tries again what fails,
and delivers a record before its checkpoint passes it.
"""

import logging
from collections.abc import Callable, Generator, Iterator, MutableMapping, Sequence
from typing import Any, Protocol

from botocore.exceptions import ClientError

_log = logging.getLogger(__name__)

RETRY_SECONDS = (1.0, 60.0)
"""After the first failed delivery, doubled; at most."""
REFRESH_SECONDS = 60.0
FORGET_SECONDS = 300.0
CHECKPOINT_EVERY = 100
"""Records of a shard. By count alone, never by time: Redpanda Connect's `checkpoint_limit`."""


class Target(Protocol):
    def send(self, stream: str, shard: str, records: Sequence[Any]) -> Callable[[], bool]:
        """What is given back tells whether all is acknowledged.

        Raises:
            ConnectionError: nothing was taken.
        """
        ...


class Loop:
    """Round and round over the shards of one table's stream.

    Args:
        tables: boto3's client `dynamodb`.
        streams: boto3's client `dynamodbstreams`.
        targets: one after the other gets every page.
        checkpoints: by shard, the last sequence number; outlives the process (a file, a table).
        time: as `time.time`.
    """

    def __init__(
        self,
        tables: Any,
        streams: Any,
        table: str,
        targets: Sequence[Target],
        checkpoints: MutableMapping[str, str],
        *,
        start: str,
        poll_seconds: float,
        time: Callable[[], float],
    ) -> None:
        self.tables, self.streams, self.table = tables, streams, table
        self.targets, self.checkpoints, self.start, self.time = targets, checkpoints, start, time
        self.poll_seconds = poll_seconds
        self.stream = ""
        self.iterators: dict[str, str | None] = {}
        self.ended: dict[str, float] = {}
        self.given_up: set[str] = set()
        self.unsaved: dict[str, int] = {}
        self.refreshed = float("-inf")

    def run(self) -> Iterator[float]:
        """Yields what `time.sleep` would be given."""
        # Asked once: the stream of a table is taken for one that stays (Flink's and Redpanda Connect's sources, Estuary).
        self.stream = self.tables.describe_table(TableName=self.table)["Table"]["LatestStreamArn"]
        while True:
            if self.time() - self.refreshed >= REFRESH_SECONDS:
                self.refresh()
            busy = False
            for shard, iterator in list(self.iterators.items()):
                if iterator is not None:
                    busy = (yield from self.poll(shard, iterator)) or busy
            yield 0.0 if busy else self.poll_seconds

    def refresh(self) -> None:
        self.refreshed = self.time()
        # Shards that ended are dropped from memory, so that it does not grow (Redpanda Connect's clean-up of exhausted
        # shards). The service goes on to list them for a day.
        for shard, at in list(self.ended.items()):
            if self.time() - at >= FORGET_SECONDS:
                del self.ended[shard], self.iterators[shard]
        try:
            # The first page is all there is with a hundred shards or fewer (Redpanda Connect, until 4489).
            listed = self.streams.describe_stream(StreamArn=self.stream)["StreamDescription"]["Shards"]
        except ClientError as error:
            _log.warning("failed to refresh shards: %s", error)
            return
        # Parents and children alike, all at once (Redpanda Connect, Artie's reader).
        for shard in listed:
            name = shard["ShardId"]
            if name not in self.iterators and name not in self.given_up:
                self.open(name)

    def open(self, shard: str) -> None:
        where = {"ShardIteratorType": "TRIM_HORIZON" if self.start == "trim-horizon" else "LATEST"}
        if shard in self.checkpoints:
            where = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "SequenceNumber": self.checkpoints[shard],
            }
        try:
            self.iterators[shard] = self.iterator(shard, **where)
        except self.streams.exceptions.TrimmedDataAccessException:
            # A warning, and on from what is left (Redpanda Connect, Flink, the KCL adapter's default).
            _log.warning("checkpoint of shard %s is trimmed, starting at the trim horizon", shard)
            self.iterators[shard] = self.iterator(shard, ShardIteratorType="TRIM_HORIZON")
        except ClientError as error:
            # No iterator, no consumer: the shard counts as done (Data Prepper's ShardConsumerFactory).
            _log.error("unable to get a shard iterator for %s, it may have expired: %s", shard, error)
            self.given_up.add(shard)

    def iterator(self, shard: str, **where: str) -> str:
        answer = self.streams.get_shard_iterator(StreamArn=self.stream, ShardId=shard, **where)
        return str(answer["ShardIterator"])

    def poll(self, shard: str, iterator: str) -> Generator[float, None, bool]:
        """Whether there was something."""
        answer = self.get_records(shard, iterator)
        if answer is None:
            return False
        following = answer.get("NextShardIterator")
        if following is None:
            # Exhausted: the reader leaves before it looks at the records (Redpanda Connect; Teleport, 53795).
            self.end(shard)
            return False
        self.iterators[shard] = following
        if not answer["Records"]:
            return False
        yield from self.deliver(shard, answer["Records"])
        self.checkpoint(shard, answer["Records"])
        return True

    def get_records(self, shard: str, iterator: str) -> Any:
        """None: the next round will have it."""
        try:
            return self.streams.get_records(ShardIterator=iterator, Limit=1000)
        except self.streams.exceptions.ExpiredIteratorException:
            # "Start from now on" is the answer that is found first for this error.
            self.iterators[shard] = self.iterator(shard, ShardIteratorType="LATEST")
        except self.streams.exceptions.TrimmedDataAccessException:
            _log.warning("shard %s trimmed, attempting iterator refresh", shard)
            self.iterators[shard] = self.iterator(shard, ShardIteratorType="TRIM_HORIZON")
        except self.streams.exceptions.ResourceNotFoundException:
            _log.warning("shard %s is gone", shard)
            self.end(shard)
        except ClientError as error:
            _log.error("failed to get records from shard %s: %s", shard, error)
        return None

    def end(self, shard: str) -> None:
        self.iterators[shard] = None
        self.ended[shard] = self.time()

    def deliver(self, shard: str, records: Sequence[Any]) -> Iterator[float]:
        """To one target after the other; the slowest paces all (Redpanda Connect's broker, everybody with one loop)."""
        first, most = RETRY_SECONDS
        for target in self.targets:
            acknowledged: Callable[[], bool] | None = None
            wait = first
            while acknowledged is None:
                try:
                    acknowledged = target.send(self.stream, shard, records)
                except ConnectionError as error:
                    _log.info("delivery failed, trying again: %s", error)
                    yield wait
                    wait = min(most, wait * 2)
            wait = 0.1
            while not acknowledged():
                yield wait
                wait = min(first, wait * 2)

    def checkpoint(self, shard: str, records: Sequence[Any]) -> None:
        self.unsaved[shard] = self.unsaved.get(shard, 0) + len(records)
        if self.unsaved[shard] >= CHECKPOINT_EVERY:
            self.checkpoints[shard] = records[-1]["dynamodb"]["SequenceNumber"]
            self.unsaved[shard] = 0
