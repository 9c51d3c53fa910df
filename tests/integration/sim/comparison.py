"""What DynamoDB Local and the simulation answer to the same calls, and where they are known to differ.

DynamoDB Local is an emulator as well, and not always right: each difference is named here, with what the real service
does, and nothing that is not named may differ.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.attribute_value import canonical_number

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """One call, made to both.

    Args:
        ours: the answer, or the error's members and its `code`; `comparable`.
    """

    operation: str
    request: Request
    ours: Mapping[str, Any]
    theirs: Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """What DynamoDB Local does otherwise than the service.

    Args:
        why: what the service does, and how that is known.
        applies: whether it explains what this call was answered.
    """

    name: str
    why: str
    applies: Callable[[Call], bool]


def makes_an_item_of_nothing(operation: str, request: Request, exists: Callable[[Request], bool]) -> bool:
    """Whether DynamoDB Local would make an item where the service makes none: it is not asked.

    REMOVE and DELETE of what a missing item does not have do not make it (ScyllaDB's tests against the service).
    """
    if operation == "TransactWriteItems":
        updates = [action["Update"] for action in request["TransactItems"] if "Update" in action]
    else:
        updates = [request] if operation == "UpdateItem" else []
    return any(_only_takes_away(update) and not exists(update["Key"]) for update in updates)


def _only_takes_away(update: Request) -> bool:
    text = update.get("UpdateExpression", "SET ")
    return "SET " not in text and "ADD " not in text


def _is_nested(call: Call) -> bool:
    text = call.request.get("UpdateExpression", "")
    updated = call.request.get("ReturnValues", "").startswith("UPDATED")
    return call.operation == "UpdateItem" and updated and ("." in text or "[" in text)


def _same_but(name: str, call: Call) -> bool:
    """The answers differ in this member only."""
    ours, theirs = ({key: one[key] for key in one if key != name} for one in (call.ours, call.theirs))
    return ours == theirs


def _refused_in_transaction(call: Call) -> bool:
    reasons = call.ours.get("CancellationReasons", ())
    return call.theirs.get("code") == "ValidationException" and any(
        reason["Code"] == "ValidationError" for reason in reasons
    )


DIFFERENCES = (
    Difference(
        "UPDATED_OLD and UPDATED_NEW give whole attributes",
        "of a nested update only what it names (ScyllaDB's tests against the service)",
        lambda call: _is_nested(call) and _same_but("Attributes", call),
    ),
    Difference(
        "what an item or its table cannot take is no reason in a transaction",
        "the transaction is cancelled, with ValidationError among the reasons (API Reference, TransactWriteItems)",
        _refused_in_transaction,
    ),
    Difference(
        "a cancelled read has no reasons",
        "it has one for each of its actions (API Reference, TransactionCanceledException)",
        lambda call: call.operation == "TransactGetItems" and _same_but("CancellationReasons", call),
    ),
    Difference(
        "a query that finds nothing costs nothing",
        "it is half a unit at least, or one (Developer Guide, read capacity units)",
        lambda call: call.ours.get("ScannedCount") == 0 and _same_but("ConsumedCapacity", call),
    ),
    Difference(
        "the delete of nothing states its capacity unasked",
        "it states what is asked for (API Reference, DeleteItem)",
        lambda call: (
            call.operation == "DeleteItem"
            and call.request.get("ReturnConsumedCapacity", "NONE") == "NONE"
            and _same_but("ConsumedCapacity", call)
        ),
    ),
    Difference(
        "a page that ends with the last item of a range has no LastEvaluatedKey",
        "a page that reached its limit has one, whatever comes after (Developer Guide, paginating table query results)",
        lambda call: (
            call.operation == "Query"
            and "LastEvaluatedKey" in call.ours
            and call.ours["ScannedCount"] == call.request.get("Limit")
            and _same_but("LastEvaluatedKey", call)
        ),
    ),
)


def explanation(call: Call) -> str | None:
    """The name of the difference that a call's answers show, if they are not the same."""
    for difference in DIFFERENCES:
        if difference.applies(call):
            return difference.name
    return None


def comparable(answer: Any) -> Any:
    """With numbers in one spelling, and sets in one order.

    DynamoDB Local keeps numbers as an update spells them; that the simulation does not is checked apart.
    """
    if isinstance(answer, list):
        return [comparable(one) for one in answer]
    if not isinstance(answer, Mapping):
        return answer
    if len(answer) == 1:
        ((kind, content),) = answer.items()
        if kind == "N" and isinstance(content, str):
            return {"N": canonical_number(content)}
        if kind == "NS" and isinstance(content, list):
            return {"NS": sorted(map(canonical_number, content))}
        if kind in ("SS", "BS") and isinstance(content, list):
            return {kind: sorted(content)}
    return {name: comparable(one) for name, one in answer.items()}


def unordered(answer: dict[str, Any]) -> dict[str, Any]:
    """Of a scan, or a batch: items in one order where the service promises none."""
    if "Items" in answer:
        answer["Items"].sort(key=text)
    for items in answer.get("Responses", {}).values():
        items.sort(key=text)
    return answer


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def image(item: Mapping[str, Any] | None) -> Any:
    """Of a stream record. DynamoDB Local writes `{}` there for an empty map."""
    return None if item is None else {name: _image_value(value) for name, value in item.items()}


def _image_value(value: Mapping[str, Any]) -> Any:
    if not value or "M" in value:
        return {"M": image(value.get("M", {}))}
    if "L" in value:
        return {"L": [_image_value(element) for element in value["L"]]}
    return comparable(value)
