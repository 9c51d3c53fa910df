import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import ErrorKind, SinkError
from cdc.testing.clock import ManualClock
from connectors.replica.answers import OK
from connectors.replica.item_writer import ItemWriter
from connectors.replica.plan import ItemWrite, Target, plan
from connectors.replica.transport import Answer
from connectors.replica.wire import Wire
from tests.replica.proxy import NAMESPACE
from tests.replica.records import PK, batch_of, change

A = {"pk": {"S": "a"}}
TARGET = Target("t", (PK,), Wire("t", "tombstones", "pk"))


def write_of(*records: dict[str, Any]) -> ItemWrite:
    batch = batch_of(records)
    (write,), rejects = plan(batch, batch.changes, TARGET)
    assert not rejects
    return write


def sequence_of(body: bytes) -> int:
    request = json.loads(body)
    action = next(iter(request["TransactItems"][0].values())) if "TransactItems" in request else request
    return int(action["ExpressionAttributeValues"][":v"]["S"].rpartition("-")[2])


def error(code: str, **more: Any) -> Answer:
    return Answer(400, json.dumps({"__type": NAMESPACE + code, **more}).encode())


class Server:
    """Answers by the sequence number of the change; well unless told otherwise."""

    def __init__(self) -> None:
        self.answers: dict[int, Answer | SinkError] = {}
        self.calls: list[tuple[str, int]] = []

    def post(self, operation: str, body: bytes) -> Answer:
        sequence = sequence_of(body)
        self.calls.append((operation, sequence))
        answer = self.answers.get(sequence, Answer(OK, b"{}"))
        if isinstance(answer, SinkError):
            raise answer
        return answer


def writer(server: Server, clock: ManualClock | None = None) -> ItemWriter:
    return ItemWriter(server.post, clock or ManualClock(), tombstone_seconds=60, budget_seconds=10)


@given(
    events=st.lists(st.sampled_from(["INSERT", "MODIFY", "REMOVE"]), min_size=1, max_size=6),
    refused=st.sets(st.integers(1, 6)),
    without_image=st.sets(st.integers(1, 6)),
)
def test_the_newest_change_that_is_not_refused_is_written(
    events: list[str], refused: set[int], without_image: set[int]
) -> None:
    server = Server()
    server.answers = {sequence: error("ValidationException", message="x") for sequence in refused}
    records = [
        change(event, n, A, None if n in without_image else {"n": {"N": str(n)}})
        for n, event in enumerate(events, 1)
    ]
    write = write_of(*records)
    assert writer(server).advance(write) is None

    bad = {
        n for n, event in enumerate(events, 1) if n in refused or (n in without_image and event != "REMOVE")
    }
    good = [n for n in range(1, len(events) + 1) if n not in bad]
    written = good[-1] if good else 0
    assert [int(reject.sequence) for reject in write.rejects] == list(range(len(events), written, -1))
    assert [int(one.sequence) for one in write.changes] == list(range(1, written + 1))
    assert [sequence for _, sequence in server.calls if sequence not in refused] == [written] * bool(good)


@pytest.mark.parametrize(
    ("events", "operation"),
    [
        (["INSERT"], "TransactWriteItems"),
        (["MODIFY"], "PutItem"),
        (["REMOVE"], "TransactWriteItems"),
        (["INSERT", "MODIFY"], "TransactWriteItems"),
        (["REMOVE", "INSERT"], "PutItem"),  # the replica still has the item that was removed
    ],
)
def test_the_first_call_is_the_one_that_is_likely_to_do(events: list[str], operation: str) -> None:
    server = Server()
    write = write_of(*(change(event, n, A, {}) for n, event in enumerate(events, 1)))
    assert writer(server).advance(write) is None
    assert server.calls == [(operation, len(events))]


@pytest.mark.parametrize("kind", [ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE])
def test_another_attempt_comes_later_and_later_until_time_is_up(kind: ErrorKind) -> None:
    server, clock = Server(), ManualClock()
    server.answers[1] = SinkError(kind, "busy")
    write, item_writer = write_of(change("MODIFY", 1, A, {})), writer(server, clock)
    started, pauses = clock.now().monotonic, []
    with pytest.raises(SinkError, match=r"busy .* attempts in 10 s") as raised:  # noqa: PT012 - until it raises
        while True:
            pause = item_writer.advance(write)
            assert pause is not None
            pauses.append(pause)
            clock.advance(pause)
    assert raised.value.kind is kind
    assert 7 < clock.now().monotonic - started <= 10
    assert 0.025 <= pauses[0] <= 0.05
    assert max(pauses) <= 2


def test_another_kind_of_error_gets_no_second_attempt() -> None:
    server = Server()
    server.answers[1] = SinkError(ErrorKind.NOT_FOUND, "gone")
    with pytest.raises(SinkError, match="gone"):
        writer(server).advance(write_of(change("MODIFY", 1, A, {})))
    assert len(server.calls) == 1


def test_a_missing_item_is_inserted_with_a_budget_of_its_own() -> None:
    server, clock = Server(), ManualClock()
    write, item_writer = write_of(change("MODIFY", 1, A, {})), writer(server, clock)
    server.answers[1] = error("ThrottlingException")
    assert item_writer.advance(write) is not None
    clock.advance(9)
    server.answers[1] = error("ConditionalCheckFailedException")
    posted = server.post

    def missing_then_throttled(operation: str, body: bytes) -> Answer:
        if operation == "TransactWriteItems":
            server.answers[1] = error("ThrottlingException")
        return posted(operation, body)

    server.post = missing_then_throttled  # type: ignore[method-assign]
    item_writer = writer(server, clock)
    assert item_writer.advance(write) is not None
    clock.advance(5)
    assert item_writer.advance(write) is not None
    assert [operation for operation, _ in server.calls] == ["PutItem"] * 2 + ["TransactWriteItems"] * 2
