"""The items of one pipeline in DynamoDB. Makes one call per method and never retries: the engine does."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

from cdc.connector import CountCall
from cdc.errors import ErrorKind, StateError
from cdc.ports import Owner
from connectors.state_dynamodb.errors import aws_errors
from connectors.state_dynamodb.items import FORMAT, ConditionFailedError, Root, Stored
from connectors.state_dynamodb.pages import packed, unpacked
from connectors.state_dynamodb.table import PARTITION_KEY, SORT_KEY

ROOT = "lease"
_PAGE = "page/"
"""`page/o0/a`. Sorts after the root: a query reads that first."""

Value = Mapping[str, Any]
"""DynamoDB JSON, as botocore takes it: `{"S": "text"}`."""


class Known(Enum):
    """What a condition asks of an attribute, beside a value that it has to have."""

    ABSENT = "attribute_not_exists"
    PRESENT = "attribute_exists"


_OWNER = ("host", "pid", "process_started", "admin", "heartbeat", "lease_seconds")
"""What the root has as long as somebody owns the pipeline."""


class DynamoDBItems:
    """
    Args:
        client: botocore's DynamoDB client.
        table: its name.
        pipeline: whose items these are.
        count_call: told of every call.
    """

    def __init__(self, client: Any, table: str, pipeline: str, *, count_call: CountCall) -> None:
        self._client = client
        self._table = table
        self._pipeline = pipeline
        self._count_call = count_call

    def root(self) -> Root | None:
        answer = self._call("GetItem", Key=self._key(ROOT), ConsistentRead=True)
        return self._root_of(answer["Item"]) if "Item" in answer else None

    def everything(self) -> tuple[Root | None, Sequence[Stored]]:
        root: Root | None = None
        stored = []
        begin: dict[str, Any] = {}
        while True:
            answer = self._call(
                "Query",
                KeyConditionExpression="#p = :p",
                ExpressionAttributeNames={"#p": PARTITION_KEY},
                ExpressionAttributeValues={":p": {"S": self._pipeline}},
                ConsistentRead=True,
                **begin,
            )
            for item in answer["Items"]:
                name = item[SORT_KEY]["S"]
                if name == ROOT:
                    root = self._root_of(item)
                elif name.startswith(_PAGE):
                    stored.append(self._stored_of(name, item))
            if "LastEvaluatedKey" not in answer:
                return root, stored
            begin = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def take(self, owner: Owner, *, lease_seconds: float, seen: Root | None, epoch: int) -> Root:
        mine: dict[str, Value] = {
            "host": {"S": owner.host},
            "pid": {"N": str(owner.pid)},
            "process_started": {"S": owner.process_started},
            "admin": {"S": owner.admin},
            "heartbeat": _number(owner.heartbeat),
            "lease_seconds": _number(lease_seconds),
            "acquired_at": _number(owner.heartbeat),
            "epoch": {"N": str(epoch)},
            # Also of a state of an older version: whoever owns it writes its pages as this one does.
            "format": {"N": str(FORMAT)},
        }
        condition: dict[str, Value | Known]
        if seen is None:
            condition = {PARTITION_KEY: Known.ABSENT}
            mine |= {
                "save": {"N": "0"},
                "pages": {"B": packed({})},
            }
        else:
            condition = {"epoch": {"N": str(seen.epoch)}}
            condition["heartbeat"] = Known.ABSENT if seen.owner is None else _number(seen.owner.heartbeat)
        answer = self._update(mine, condition, ReturnValues="ALL_NEW")
        return self._root_of(answer["Attributes"])

    def renew(self, epoch: int, *, now: float, admin: str) -> None:
        change: dict[str, Value] = {"heartbeat": _number(now)}
        if admin:
            change["admin"] = {"S": admin}
        self._update(change, _owned(epoch))

    def flip(self, epoch: int, *, expected: int, save: int, table: Mapping[str, int]) -> None:
        change: dict[str, Value] = {"save": {"N": str(save)}, "pages": {"B": packed(table)}}
        self._update(change, {**_owned(epoch), "save": {"N": str(expected)}})

    def release(self, epoch: int) -> None:
        self._update({}, {"epoch": {"N": str(epoch)}}, remove=_OWNER)

    def put_page(self, stored: Stored) -> None:
        self._call(
            "PutItem",
            Item={
                **self._key(f"{_PAGE}{stored.page}/{stored.slot}"),
                "save": {"N": str(stored.save)},
                "content": {"B": stored.content},
            },
            ConditionExpression="attribute_not_exists(#save) OR #save <= :save",
            ExpressionAttributeNames={"#save": "save"},
            ExpressionAttributeValues={":save": {"N": str(stored.save)}},
        )

    def _update(
        self,
        change: Mapping[str, Value],
        condition: Mapping[str, Value | Known],
        *,
        remove: Sequence[str] = (),
        **more: Any,
    ) -> Any:
        """Changes the root if each attribute of the condition is as it says."""
        values = {f":new_{name}": value for name, value in change.items()}
        asked = []
        for name, value in condition.items():
            if isinstance(value, Known):
                asked.append(f"{value.value}(#{name})")
            else:
                asked.append(f"#{name} = :old_{name}")
                values[f":old_{name}"] = value
        sets = ", ".join(f"#{name} = :new_{name}" for name in change)
        removes = ", ".join(f"#{name}" for name in remove)
        return self._call(
            "UpdateItem",
            Key=self._key(ROOT),
            UpdateExpression=" ".join(
                part
                for part in (f"SET {sets}" if sets else "", f"REMOVE {removes}" if removes else "")
                if part
            ),
            ConditionExpression=" AND ".join(asked),
            ExpressionAttributeNames={f"#{name}": name for name in (*change, *condition, *remove)},
            ExpressionAttributeValues=values,
            **more,
        )

    def _key(self, name: str) -> dict[str, Value]:
        return {PARTITION_KEY: {"S": self._pipeline}, SORT_KEY: {"S": name}}

    def _call(self, operation: str, **parameters: Any) -> Any:
        methods = {
            "GetItem": self._client.get_item,
            "Query": self._client.query,
            "PutItem": self._client.put_item,
            "UpdateItem": self._client.update_item,
        }
        place = f"the table {self._table} at {self._client.meta.endpoint_url}"
        try:
            with aws_errors(operation, place):
                answer = methods[operation](TableName=self._table, **parameters)
        except StateError as error:
            self._count_call(operation, error.kind)
            raise
        except ConditionFailedError:
            self._count_call(operation, "condition-failed")
            raise
        self._count_call(operation, "ok")
        return answer

    def _root_of(self, item: Mapping[str, Value]) -> Root:
        with self._readable(ROOT):
            form = int(item["format"]["N"])
            if form > FORMAT:  # nothing else of it is known
                return Root(form, 0, 0, {}, None, 0.0, 0.0)
            owner = None
            if "host" in item:
                owner = Owner(
                    item["host"]["S"],
                    int(item["pid"]["N"]),
                    item["process_started"]["S"],
                    item["admin"]["S"],
                    float(item["heartbeat"]["N"]),
                )
            return Root(
                form,
                int(item["epoch"]["N"]),
                int(item["save"]["N"]),
                unpacked(item["pages"]["B"], dict[str, int]),
                owner,
                float(item["lease_seconds"]["N"]) if owner is not None else 0.0,
                float(item["acquired_at"]["N"]),
            )

    def _stored_of(self, name: str, item: Mapping[str, Value]) -> Stored:
        with self._readable(name):
            page, _, slot = name.removeprefix(_PAGE).partition("/")
            if slot not in ("a", "b"):
                raise ValueError(slot)
            return Stored(page, "a" if slot == "a" else "b", int(item["save"]["N"]), item["content"]["B"])

    @contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        try:
            yield
        except (KeyError, ValueError) as error:
            raise StateError(
                ErrorKind.STATE_FORMAT,
                f"the item {name} of the pipeline {self._pipeline} in the table {self._table} is none of a state: "
                f"{type(error).__name__}",
                remedy="restore the table (point-in-time recovery), or name another `state.table`",
            ) from None


def _number(value: float) -> Value:
    return {"N": repr(value)}


def _owned(epoch: int) -> dict[str, Value | Known]:
    return {"epoch": {"N": str(epoch)}, "host": Known.PRESENT}
