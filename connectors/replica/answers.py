"""What DynamoDB's answer to a guarded request means."""

import re

import msgspec

from cdc.errors import ErrorKind, SinkError
from connectors.replica.errors import CANCELLATIONS, error_of
from connectors.replica.guard import VERSION_ATTRIBUTE, Request, Seen
from connectors.replica.transport import Answer

OK = 200


class RefusedError(Exception):
    """The replica can never take this change. `reason` holds names, never values."""

    def __init__(self, kind: ErrorKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class _Reason(msgspec.Struct, frozen=True, rename="pascal"):
    code: str = "None"
    item: dict[str, msgspec.Raw] | None = None
    message: str | None = None


class _Error(msgspec.Struct, frozen=True):
    type_: str = msgspec.field(default="", name="__type")
    message: str | None = None
    message_: str | None = msgspec.field(default=None, name="Message")
    item: dict[str, msgspec.Raw] | None = msgspec.field(default=None, name="Item")
    reasons: list[_Reason] = msgspec.field(default_factory=list, name="CancellationReasons")


_errors = msgspec.json.Decoder(_Error)
_string = msgspec.json.Decoder(dict[str, str])

_CONDITION_FAILED = "ConditionalCheckFailed"
_COLLECTION_FULL = "ItemCollectionSizeLimitExceeded"
_NOT_A_VERSION = "not a version"


def read(answer: Answer, request: Request, table: str) -> list[Seen | None] | None:
    """None: the request was carried out. Else what stood in the way of each of its actions.

    Args:
        answer: of the call.
        request: what was asked for.
        table: the replica's name, for messages.

    Raises:
        RefusedError: the change can never be taken.
        SinkError: anything else; `THROTTLED` and `UNAVAILABLE` are worth another attempt.
    """
    if answer.status == OK and answer.body.startswith(b"{"):
        return None
    try:
        error = _errors.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _Error()
    code = error.type_.rpartition("#")[2]
    if not code:
        # No word of DynamoDB's: something in between has answered.
        message = f"table {table}: an answer that is not DynamoDB's (HTTP {answer.status})"
        raise SinkError(ErrorKind.UNAVAILABLE, message)
    if code == f"{_CONDITION_FAILED}Exception":
        return [_seen(error.item)]
    if code == "TransactionCanceledException":
        return _cancelled(error.reasons, request, table)
    message = error.message or error.message_ or ""
    if code == "ValidationException" or code.startswith(_COLLECTION_FULL):
        raise _refusal(code, message, table)
    raise _error_of(code, answer.status, table)


def _cancelled(reasons: list[_Reason], request: Request, table: str) -> list[Seen | None]:
    codes = [reason.code for reason in reasons]
    if len(reasons) == len(request) and _CONDITION_FAILED in codes:
        return [_seen(reason.item) if reason.code == _CONDITION_FAILED else None for reason in reasons]
    for reason in reasons:
        if reason.code in {"ValidationError", _COLLECTION_FULL}:
            raise _refusal(reason.code, reason.message or "", table)
    for code in codes:
        if code in CANCELLATIONS:
            raise _error_of(code, 400, table)
    raise _error_of(next((code for code in codes if code != "None"), ""), 500, table)


def _error_of(code: str, status: int, table: str) -> SinkError:
    error = error_of(code, status, f"table {table}")
    if error.kind is ErrorKind.NOT_FOUND:
        error.remedy = (
            "the replica has to exist, with the source's key schema, and its table of tombstones too; "
            "this sink creates the tombstones alone, when it opens"
        )
    return error


def _seen(item: dict[str, msgspec.Raw] | None) -> Seen:
    if not item:
        return Seen(exists=False)
    version = item.get(VERSION_ATTRIBUTE)
    if version is None:
        return Seen(exists=True)
    try:
        return Seen(exists=True, version=_string.decode(version).get("S", _NOT_A_VERSION))
    except msgspec.DecodeError:
        return Seen(exists=True, version=_NOT_A_VERSION)


_INDEX_TYPE = re.compile(
    r"Type mismatch for Index Key ([\w.-]{1,255}) Expected: ([SNB]) Actual: ([A-Z]+) IndexName: ([\w.-]{1,255})"
)
_INDEX_EMPTY = re.compile(
    r"secondary index key.*empty (?:string|binary) value.*IndexName: ([\w.-]{1,255}), IndexKey: ([\w.-]{1,255})"
)

_KNOWN = (
    ("Item size has exceeded", "the item exceeds 400 KB with its version in it"),
    ("Item size to update has exceeded", "the item exceeds 400 KB with its version in it"),
    ("Nesting Levels", "the item is nested more deeply than the replica allows"),
    ("exceeded the maximum size limit", "a key of the item is longer than the replica allows"),
    ("exceeded the size limit", "a key of the item is longer than the replica allows"),
    ("empty string value", "a key of the item is empty"),
    ("empty binary value", "a key of the item is empty"),
    (
        "Type mismatch for Index Key",
        "an index key of the item has another type than the replica's index needs",
    ),
    ("primary key values must be under", "a key of the item is longer than the replica allows"),
    ("secondary index", "an index key of the item has another type or size than the replica's index allows"),
    ("Empty attribute name", "the item has an empty attribute name"),
    ("into a number", "a number of the item is none that the replica allows"),
    ("numeric value", "a number of the item is none that the replica allows"),
    ("number overflow", "a number of the item is out of the replica's range"),
    ("Number overflow", "a number of the item is out of the replica's range"),
    ("Number underflow", "a number of the item is out of the replica's range"),
    ("significant digits", "a number of the item has more digits than the replica allows"),
)
"""Part of the service's message, and what may be said of it: the message itself may quote values."""

_OURS = (
    "ConditionExpression",
    "ExpressionAttribute",
    "TransactItems",
    "TableName",
    "key element does not match the schema",
    "number of conditions on the keys",
)
"""Parts of messages that blame the request or the table, not the item: no change is to blame for them."""


def _refusal(code: str, message: str, table: str) -> RefusedError | SinkError:
    if code.startswith(_COLLECTION_FULL):
        return RefusedError(ErrorKind.REJECTED, "the replica's item collection has reached its 10 GB")
    if any(part in message for part in _OURS):
        text = f"table {table}: the request does not fit the replica or its tombstones (ValidationException)"
        return SinkError(ErrorKind.INVALID_REQUEST, text, remedy="compare the key schemas of the tables")
    if match := _INDEX_TYPE.search(message):
        reason = (
            f"the replica's index {match[4]} needs {match[1]} of type {match[2]}; the item has {match[3]}"
        )
        return RefusedError(ErrorKind.REJECTED, reason)
    if match := _INDEX_EMPTY.search(message):
        return RefusedError(
            ErrorKind.REJECTED, f"the replica's index {match[1]} does not take an empty {match[2]}"
        )
    for part, reason in _KNOWN:
        if part in message:
            return RefusedError(ErrorKind.REJECTED, reason)
    return RefusedError(ErrorKind.REJECTED, "the replica calls the item invalid (ValidationException)")
