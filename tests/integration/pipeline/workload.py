"""A seeded writer of mixed changes: fast, in threads, and with a journal of all that the service acknowledged.

Each thread has keys of its own, so that the order of each key's changes is known. What it writes depends on the seed
alone; how the threads interleave does not.
"""

import threading
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Self

import botocore.session
from botocore.config import Config

from tests.integration.pipeline.items import (
    PARTITION_KEY,
    REVISION,
    SORT_KEY,
    Item,
    Key,
    attributes,
    key_attributes,
    keys,
)
from tests.integration.pipeline.journal import Journal, Op, Written

REGION = "eu-west-1"
THREADS = 2
BATCH = 25
"""BatchWriteItem takes no more (API reference)."""
TRICKLE_SECONDS = 0.5


def client_of(endpoint: str) -> Any:
    """botocore's client, for several threads at once."""
    return botocore.session.Session().create_client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(max_pool_connections=THREADS + 1, read_timeout=30, parameter_validation=False),
    )


def create_table(client: Any, name: str, *, stream: bool = True) -> None:
    """A table with the workload's key schema."""
    view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": PARTITION_KEY, "KeyType": "HASH"},
            {"AttributeName": SORT_KEY, "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": PARTITION_KEY, "AttributeType": "S"},
            {"AttributeName": SORT_KEY, "AttributeType": "N"},
        ],
        **({"StreamSpecification": view} if stream else {}),
    )


class Hand:
    """One thread's keys, and what it did to them."""

    def __init__(self, client: Any, table: str, own: Sequence[Key], seed: str) -> None:
        self._client = client
        self._table = table
        self._keys = own
        self._random = Random(seed)
        self._items: dict[Key, Item] = {}
        self.journal: dict[Key, list[Written]] = {}
        self.written = 0

    def write(self) -> None:
        """One call, of a random kind, and its entries in the journal."""
        way = self._random.random()
        if way < 0.15 and self._items:
            self._update()
        elif way < 0.2:
            self._many(4, self._transaction)
        elif way < 0.22:
            self._delete_nothing()
        else:
            self._many(BATCH, self._batch)

    def _many(self, most: int, call: Callable[[Sequence[tuple[Key, Item | None]]], None]) -> None:
        changes: list[tuple[Key, Item | None]] = []
        for key in self._random.sample(self._keys, min(most, len(self._keys))):
            if key in self._items and self._random.random() < 0.25:
                changes.append((key, None))
            else:
                revision = self._last_revision(key) + 1
                changes.append((key, key_attributes(key) | attributes(self._random, revision)))
        call(changes)
        for key, item in changes:
            self._note(key, item)

    def _batch(self, changes: Sequence[tuple[Key, Item | None]]) -> None:
        requests: list[Any] = [
            {"DeleteRequest": {"Key": key_attributes(key)}}
            if item is None
            else {"PutRequest": {"Item": item}}
            for key, item in changes
        ]
        while requests:
            answer = self._client.batch_write_item(RequestItems={self._table: requests})
            requests = answer.get("UnprocessedItems", {}).get(self._table, [])

    def _transaction(self, changes: Sequence[tuple[Key, Item | None]]) -> None:
        table = {"TableName": self._table}
        self._client.transact_write_items(
            TransactItems=[
                {"Delete": table | {"Key": key_attributes(key)}}
                if item is None
                else {"Put": table | {"Item": item}}
                for key, item in changes
            ]
        )

    def _update(self) -> None:
        """Sets some attributes and removes others, as an expression."""
        key = self._random.choice(list(self._items))
        old = self._items[key]
        changed = attributes(self._random, self._last_revision(key) + 1)
        gone = [name for name in old if name not in changed and name not in (PARTITION_KEY, SORT_KEY)]
        gone = [name for name in gone if self._random.random() < 0.5]
        names = {f"#n{number}": name for number, name in enumerate([*changed, *gone])}
        tokens = list(names)
        values = {f":v{number}": value for number, value in enumerate(changed.values())}
        expression = "SET " + ", ".join(f"{tokens[number]} = :v{number}" for number in range(len(changed)))
        if gone:
            expression += " REMOVE " + ", ".join(tokens[len(changed) :])
        self._client.update_item(
            TableName=self._table,
            Key=key_attributes(key),
            UpdateExpression=expression,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )
        self._note(key, {name: value for name, value in old.items() if name not in gone} | changed)

    def _delete_nothing(self) -> None:
        """A delete of an item that is not there: no change, and none may be delivered."""
        absent = [key for key in self._keys if key not in self._items]
        if absent:
            self._client.delete_item(TableName=self._table, Key=key_attributes(self._random.choice(absent)))

    def _last_revision(self, key: Key) -> int:
        entries = self.journal.get(key)
        return entries[-1].revision if entries else 0

    def _note(self, key: Key, item: Item | None) -> None:
        if item is None:
            op: Op = "d"
            revision = self._last_revision(key)
            del self._items[key]
        else:
            op = "u" if key in self._items else "c"
            revision = int(item[REVISION]["N"])
            self._items[key] = item
        self.journal.setdefault(key, []).append(Written(op, revision, item))
        self.written += 1


class Workload:
    """Writes about `changes` changes to `key_count` keys of a table, as its seed says.

    After `trickle` the threads go on slowly, but never rest, until they are told to `hurry`: so there is always somebody
    writing, and something left to write.
    """

    def __init__(self, endpoint: str, table: str, *, seed: int, changes: int, key_count: int) -> None:
        self.changes = changes
        self._client = client_of(endpoint)
        chosen = keys(Random(f"{seed} keys"), key_count)
        self._hands = [
            Hand(self._client, table, chosen[number::THREADS], f"{seed} {number}")
            for number in range(THREADS)
        ]
        self._threads = [
            threading.Thread(target=self._work, args=(hand,), name=f"workload-{number}")
            for number, hand in enumerate(self._hands)
        ]
        self._hurrying = threading.Event()
        self._hurrying.set()
        self._errors: list[BaseException] = []
        self._ending = threading.Event()
        self._began = self._ended = 0.0

    @property
    def written(self) -> int:
        """Changes that were acknowledged so far. Raises what ended a thread."""
        if self._errors:
            raise self._errors[0]
        return sum(hand.written for hand in self._hands)

    @property
    def writing(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    @property
    def journal(self) -> Journal:
        """Every key's changes. Only once nothing is written any more."""
        assert not self.writing
        journal: dict[Key, Sequence[Written]] = {}
        for hand in self._hands:
            journal.update(hand.journal)
        return journal

    @property
    def rate(self) -> float:
        """Changes per second."""
        return self.written / (self._ended - self._began)

    def trickle(self) -> None:
        self._hurrying.clear()

    def hurry(self) -> None:
        self._hurrying.set()

    def start(self) -> Self:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def wait(self, written: int, *, seconds: float = 150.0) -> None:
        """Returns once so many changes are written. Raises TimeoutError, or what ended a thread."""
        deadline = time.monotonic() + seconds
        while self.written < written and self.writing:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.written} of {written} changes were written in {seconds:.0f} s")
            time.sleep(0.005)

    def finish(self, *, seconds: float = 200.0) -> Journal:
        """Lets everything be written. Raises as `wait`."""
        self.hurry()
        self.wait(self.changes + 1, seconds=seconds)
        for thread in self._threads:
            thread.join()
        self._ended = time.monotonic()
        assert self.written >= self.changes
        return self.journal

    def close(self) -> None:
        """Ends the threads, whatever is left to write."""
        self._ending.set()
        self._hurrying.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self, hand: Hand) -> None:
        share = -(-self.changes // THREADS)
        try:
            while hand.written < share and not self._ending.is_set():
                self._hurrying.wait(TRICKLE_SECONDS)
                hand.write()
        except BaseException as error:  # noqa: BLE001 - raised by whoever asks for `written`
            self._errors.append(error)
