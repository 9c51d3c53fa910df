import json
from typing import Any

import pytest

from cdc.errors import ErrorKind, SinkError
from connectors.replica.answers import RefusedError, read
from connectors.replica.guard import VERSIONED, Seen
from connectors.replica.transport import Answer
from tests.replica.proxy import NAMESPACE

PLANTED = "planted-4711-value"


def answer(code: str, status: int = 400, **more: Any) -> Answer:
    return Answer(status, json.dumps({"__type": NAMESPACE + code, **more}).encode())


def refused(message: str) -> RefusedError:
    """Told by a single call, and as the reason of a transaction."""
    with pytest.raises(RefusedError) as single:
        read(answer("ValidationException", message=message), VERSIONED.update, "t")
    reasons = [{"Code": "ValidationError", "Message": message}, {"Code": "None"}]
    with pytest.raises(RefusedError) as cancelled:
        read(
            answer("TransactionCanceledException", CancellationReasons=reasons, Message=""),
            VERSIONED.insert,
            "t",
        )
    assert cancelled.value.reason == single.value.reason
    return single.value


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            (
                "One or more parameter values were invalid: Type mismatch for Index Key total Expected: N Actual: S "
                "IndexName: by_total"
            ),
            ["by_total", "total", "type N", "has S"],
        ),
        ("Item size has exceeded the maximum allowed size", ["400 KB"]),
        (
            (
                "One or more parameter values are not valid. A value specified for a secondary index key is not "
                "supported. The AttributeValue for a key attribute cannot contain an empty string value. "
                "IndexName: by_mail, IndexKey: mail"
            ),
            ["by_mail", "mail", "empty"],
        ),
        (
            (
                "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit "
                "of2048 bytes"
            ),
            ["key", "longer"],
        ),
        (f"The parameter cannot be converted to a numeric value: {PLANTED}", ["number"]),
        ("Nesting Levels have exceeded supported limits", ["nested"]),
        (f"Something about {PLANTED} that nobody foresaw", ["ValidationException"]),
        (f"Type mismatch for Index Key {PLANTED} Expected: {PLANTED}", ["index"]),
    ],
)
def test_a_refusal_says_what_is_known_and_no_values(message: str, words: list[str]) -> None:
    refusal = refused(message)
    assert refusal.kind is ErrorKind.REJECTED
    assert all(word in refusal.reason for word in words)
    assert PLANTED not in refusal.reason


def test_a_full_item_collection_refuses_the_change() -> None:
    with pytest.raises(RefusedError, match="10 GB"):
        read(answer("ItemCollectionSizeLimitExceededException", message=PLANTED), VERSIONED.update, "t")


@pytest.mark.parametrize(
    "message",
    ["Invalid ConditionExpression: x", "The provided key element does not match the schema", "TableName"],
)
def test_a_request_that_is_wrong_itself_blames_no_change(message: str) -> None:
    with pytest.raises(SinkError) as raised:
        read(answer("ValidationException", message=f"{message} {PLANTED}"), VERSIONED.update, "t")
    assert raised.value.kind is ErrorKind.INVALID_REQUEST
    assert PLANTED not in str(raised.value)


def test_a_failed_condition_outranks_what_else_cancelled_the_transaction() -> None:
    """A newer state is there for good; whether the other part would have worked no longer matters."""
    reasons = [
        {"Code": "TransactionConflict"},
        {"Code": "ConditionalCheckFailed", "Item": {"id": {"S": "x"}}},
    ]
    failed = read(answer("TransactionCanceledException", CancellationReasons=reasons), VERSIONED.insert, "t")
    assert failed == [None, Seen(exists=True)]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer("ThrottlingException"), ErrorKind.THROTTLED),
        (answer("Surprise", 503), ErrorKind.UNAVAILABLE),
        (answer(f"{PLANTED} \n"), ErrorKind.INVALID_REQUEST),
        (answer("TransactionCanceledException", CancellationReasons=[]), ErrorKind.UNAVAILABLE),
        (Answer(200, b"<html>"), ErrorKind.UNAVAILABLE),
        (Answer(200, b""), ErrorKind.UNAVAILABLE),
        (Answer(400, b'{"__type":"a#ConditionalCheckFailedExc'), ErrorKind.UNAVAILABLE),
        (Answer(403, b"\xff"), ErrorKind.UNAVAILABLE),
    ],
)
def test_everything_else_is_an_error(given: Answer, kind: ErrorKind) -> None:
    with pytest.raises(SinkError) as raised:
        read(given, VERSIONED.insert, "t")
    assert raised.value.kind is kind
    assert PLANTED not in str(raised.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    {
        "ProvisionedThroughputExceeded": ErrorKind.THROTTLED,
        "ThrottlingError": ErrorKind.THROTTLED,
        "TransactionConflict": ErrorKind.UNAVAILABLE,
        "FromTheFuture": ErrorKind.UNAVAILABLE,
        "AccessDenied": ErrorKind.ACCESS_DENIED,
    }.items(),
)
def test_the_reason_why_a_transaction_was_cancelled(code: str, kind: ErrorKind) -> None:
    reasons = [{"Code": "None"}, {"Code": code, "Message": PLANTED}]
    with pytest.raises(SinkError) as raised:
        read(answer("TransactionCanceledException", CancellationReasons=reasons), VERSIONED.insert, "t")
    assert raised.value.kind is kind
    assert raised.value.message == f"table t: {code}"


def test_success() -> None:
    assert read(Answer(200, b"{}"), VERSIONED.update, "t") is None
