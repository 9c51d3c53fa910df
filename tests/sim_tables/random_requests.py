"""Requests as no client would think of them: valid ones, nearly valid ones, and their like."""

import base64
from collections.abc import Callable
from random import Random
from typing import Any

Request = dict[str, Any]

NAMES = ("a", "b", "c", "list1", "#h", "#i")
REAL_NAMES = {"#h": "na-me.with", "#i": "name"}
NUMBERS = (
    "0",
    "1",
    "2",
    "-1",
    "1.10",
    "1E+2",
    "100",
    "-0",
    "0.5",
    "12345678901234567890123456789012345678",
    "1e-130",
)
TEXTS = ("", "x", "xy", "é", "😀y", "N", "SS")
COMPARATORS = ("=", "<>", "<", "<=", ">", ">=")


class RandomRequests:
    """Of one table.

    Args:
        key: the types of `pk` and `sk`; without `sk` if it is None.
    """

    def __init__(self, rng: Random, table: str, key: tuple[str, str | None]) -> None:
        self._rng, self._table, self._key = rng, table, key
        self._values: dict[str, Any] = {}

    def next(self) -> tuple[str, Request]:
        """(operation, request)"""
        makers: dict[Callable[[], tuple[str, Request]], int] = {
            self._put: 20,
            self._update: 40,
            self._delete: 10,
            self._get: 6,
            self._query: 8,
            self._scan: 4,
            self._batch_write: 4,
            self._batch_get: 3,
            self._transact: 8,
            self._transact_get: 2,
        }
        self._values = {}
        return self._rng.choices(list(makers), list(makers.values()))[0]()

    # Values

    def key(self) -> dict[str, Any]:
        found = {"pk": self._key_value(self._key[0])}
        if self._key[1] is not None:
            found["sk"] = self._key_value(self._key[1])
        return found

    def _key_value(self, kind: str) -> dict[str, str]:
        if self._rng.random() < 0.01:
            return self._rng.choice(({"S": ""}, {"N": "7"}, {"S": "x"}, {"B": "AAAA"}, {"B": ""}))
        choices = {"S": ("k1", "k2", "k3"), "N": ("1", "20", "-3.5"), "B": ("AAE=", "AAI=", "/w==")}
        return {kind: self._rng.choice(choices[kind])}

    def value(self, depth: int = 2) -> dict[str, Any]:
        rng = self._rng
        kinds = ["S", "N", "N", "B", "BOOL", "NULL", "SS", "NS", "BS"] + (["L", "M"] * 2 if depth else [])
        kind = rng.choice(kinds)
        make: dict[str, Callable[[], Any]] = {
            "S": lambda: rng.choice(TEXTS),
            "N": lambda: "1x" if rng.random() < 0.01 else rng.choice(NUMBERS),
            "B": self._binary,
            "BOOL": lambda: rng.random() < 0.5,
            "NULL": lambda: True,
            "SS": lambda: self._some(TEXTS),
            "NS": lambda: self._some(("1", "2.50", "-3", "1e2", "0")),
            "BS": lambda: self._some(("AAA=", "AQ==", "")),
            "L": lambda: [self.value(depth - 1) for _ in range(rng.randrange(4))],
            "M": lambda: {name: self.value(depth - 1) for name in self._some(("a", "b", "name"), least=0)},
        }
        return {kind: make[kind]()}

    def _binary(self) -> str:
        return base64.b64encode(self._rng.randbytes(self._rng.randrange(3))).decode()

    def _some(self, choices: tuple[str, ...], least: int = 1) -> list[str]:
        return self._rng.sample(choices, self._rng.randint(least, min(3, len(choices))))

    def item(self) -> dict[str, Any]:
        names = self._rng.sample(("a", "b", "c", "list1", "na-me.with", "name"), self._rng.randrange(5))
        return self.key() | {name: self._value_of(name) for name in names}

    def _value_of(self, name: str) -> dict[str, Any]:
        if name == "a" and self._rng.random() < 0.7:
            return {"M": {member: self.value(1) for member in self._some(("a", "b", "name"))}}
        if name == "list1" and self._rng.random() < 0.7:
            return {"L": [self.value(1) for _ in range(self._rng.randrange(4))]}
        return self.value()

    # Expressions

    def path(self, path: str = "") -> str:
        """Mostly of what is mostly there: `a` is a map as a rule, `list1` a list."""
        path = path or self._rng.choice(NAMES)
        inner = {"a": (".a", ".b", ".#i"), "list1": ("[0]", "[1]", "[7]")}.get(path, ())
        if inner and self._rng.random() < 0.5:
            path += self._rng.choice(inner)
        while self._rng.random() < 0.08:
            path += self._rng.choice((".a", ".b", ".#i", "[0]", "[1]", "[7]"))
        return path

    def _constant(self, value: dict[str, Any] | None = None) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = self.value(1) if value is None else value
        return placeholder

    def operand(self) -> str:
        chance = self._rng.random()
        if chance < 0.5:
            return self.path()
        if chance < 0.9:
            return self._constant()
        return f"size({self.path()})"

    def condition(self, depth: int = 2) -> str:  # noqa: PLR0911 - one for each kind of condition
        rng = self._rng
        if depth and rng.random() < 0.4:
            shape = rng.choice(("{} AND {}", "({}) OR {}", "NOT {}", "({})"))
            return shape.format(*(self.condition(depth - 1) for _ in range(shape.count("{}"))))
        match rng.randrange(8):
            case 0:
                return f"attribute_exists({self.path()})"
            case 1:
                return f"attribute_not_exists({self.path()})"
            case 2:
                kind = rng.choice(("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M", "X"))
                return f"attribute_type({self.path()}, {self._constant({'S': kind})})"
            case 3:
                return f"begins_with({self.path()}, {self.operand()})"
            case 4:
                return f"contains({self.path()}, {self.operand()})"
            case 5:
                return f"{self.operand()} BETWEEN {self.operand()} AND {self.operand()}"
            case 6:
                return f"{self.operand()} IN ({self.operand()}, {self.operand()})"
            case _:
                return f"{self.operand()} {rng.choice(COMPARATORS)} {self.operand()}"

    def assigned(self) -> str:
        rng = self._rng
        chance = rng.random()
        if chance < 0.6:
            return self._constant()
        if chance < 0.65:
            return self.path()
        if chance < 0.75:
            number = {"N": rng.choice(NUMBERS)}
            return f"if_not_exists({self.path()}, {self._constant(number)}) {rng.choice('+-')} {self._constant(number)}"
        if chance < 0.85:
            return f"{self.path()} {rng.choice('+-')} {self._constant()}"
        return f"list_append({self.path()}, {self._constant({'L': [self.value(0)]})})"

    def update(self) -> str:
        """Its paths are mostly apart."""
        rng = self._rng
        apart = rng.sample(NAMES, len(NAMES))
        paths = [self.path(apart.pop() if rng.random() < 0.95 else "") for _ in range(6)]
        sections = []
        chosen = set(rng.sample(("SET", "REMOVE", "ADD", "DELETE"), rng.choice((1, 1, 1, 2, 3))))
        if "SET" in chosen:
            count = rng.choice((1, 1, 2, 3))
            sections.append("SET " + ", ".join(f"{paths.pop()} = {self.assigned()}" for _ in range(count)))
        if "REMOVE" in chosen:
            sections.append("REMOVE " + ", ".join(paths.pop() for _ in range(rng.choice((1, 1, 2)))))
        if "ADD" in chosen:
            more = rng.choice(
                ({"N": rng.choice(NUMBERS)}, {"SS": ["x", "new"]}, {"NS": ["1.0", "7"]}, {"BS": ["AQ=="]})
            )
            sections.append(
                f"ADD {paths.pop()} {self._constant(more if rng.random() < 0.9 else self.value(1))}"
            )
        if "DELETE" in chosen:
            less = rng.choice(({"SS": ["x", ""]}, {"NS": ["2.5", "100"]}, {"BS": ["AQ=="]}))
            sections.append(
                f"DELETE {paths.pop()} {self._constant(less if rng.random() < 0.9 else self.value(1))}"
            )
        rng.shuffle(sections)
        return " ".join(sections)

    def _placeholders(self, *expressions: str) -> Request:
        """What the expressions need, and now and then what they do not."""
        text = " ".join(expressions)
        found: Request = {}
        names = {short: name for short, name in REAL_NAMES.items() if short in text}
        if names or self._rng.random() < 0.01:
            found["ExpressionAttributeNames"] = names or {"#unused": "a"}
        if self._values:
            found["ExpressionAttributeValues"] = self._values
        return found

    # Requests

    def _conditional(self, request: Request, *expressions: str) -> Request:
        request["TableName"] = self._table
        if self._rng.random() < 0.3:
            request["ConditionExpression"] = self.condition()
            expressions = (*expressions, request["ConditionExpression"])
            if self._rng.random() < 0.5:
                request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return request | self._placeholders(*expressions)

    def _returning(self, request: Request, *choices: str) -> Request:
        if self._rng.random() < 0.6:
            request["ReturnValues"] = self._rng.choice(choices)
        if self._rng.random() < 0.3:
            request["ReturnConsumedCapacity"] = self._rng.choice(("TOTAL", "INDEXES", "NONE"))
        return request

    def _put(self) -> tuple[str, Request]:
        return "PutItem", self._returning(self._conditional({"Item": self.item()}), "ALL_OLD", "NONE")

    def _delete(self) -> tuple[str, Request]:
        return "DeleteItem", self._returning(self._conditional({"Key": self.key()}), "ALL_OLD", "NONE")

    def _update(self) -> tuple[str, Request]:
        request: Request = {"Key": self.key()}
        if self._rng.random() < 0.95:
            request["UpdateExpression"] = self.update()
        request = self._conditional(request, request.get("UpdateExpression", ""))
        return "UpdateItem", self._returning(
            request, "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW", "NONE"
        )

    def _get(self) -> tuple[str, Request]:
        request: Request = {"TableName": self._table, "Key": self.key(), "ConsistentRead": True}
        if self._rng.random() < 0.5:
            request["ProjectionExpression"] = ", ".join(
                self.path() for _ in range(self._rng.choice((1, 2, 3)))
            )
        request |= self._placeholders(request.get("ProjectionExpression", ""))
        return "GetItem", request

    def _page(self, request: Request, *expressions: str) -> Request:
        rng = self._rng
        if rng.random() < 0.4:
            request["FilterExpression"] = self.condition(1)
        if rng.random() < 0.3:
            request["ProjectionExpression"] = self.path()
        elif rng.random() < 0.2:
            request["Select"] = rng.choice(("COUNT", "ALL_ATTRIBUTES", "SPECIFIC_ATTRIBUTES"))
        found = [request[name] for name in ("FilterExpression", "ProjectionExpression") if name in request]
        return request | self._placeholders(*expressions, *found)

    def _query(self) -> tuple[str, Request]:
        rng = self._rng
        expression = f"pk = {self._constant(self._key_value(self._key[0]))}"
        kind = self._key[1]
        if kind is not None and rng.random() < 0.7:
            one, other = (self._constant(self._key_value(kind)) for _ in range(2))
            expression += " AND " + rng.choice(
                (
                    f"sk BETWEEN {one} AND {other}",
                    f"begins_with(sk, {one})",
                    f"sk {rng.choice(COMPARATORS)} {one}",
                )
            )
            if other not in expression:
                del self._values[other]
        request: Request = {
            "TableName": self._table,
            "KeyConditionExpression": expression,
            "ConsistentRead": True,
        }
        if rng.random() < 0.4:
            request["Limit"] = rng.randint(1, 3)
        if rng.random() < 0.4:
            request["ScanIndexForward"] = rng.random() < 0.3
        return "Query", self._page(request, expression)

    def _scan(self) -> tuple[str, Request]:
        return "Scan", self._page({"TableName": self._table, "ConsistentRead": True})

    def _keys(self, most: int, *, twice: float = 0.0) -> list[dict[str, Any]]:
        """Up to so many; with this chance one may be there twice."""
        keys = [self.key() for _ in range(self._rng.randint(1, most))]
        return keys if self._rng.random() < twice else list({str(key): key for key in keys}.values())

    def _batch_write(self) -> tuple[str, Request]:
        writes = [
            {"PutRequest": {"Item": self.item() | key}}
            if self._rng.random() < 0.7
            else {"DeleteRequest": {"Key": key}}
            for key in self._keys(5, twice=0.1)
        ]
        return "BatchWriteItem", {"RequestItems": {self._table: writes}}

    def _batch_get(self) -> tuple[str, Request]:
        one: Request = {"Keys": self._keys(5), "ConsistentRead": True}
        return "BatchGetItem", {"RequestItems": {self._table: one}}

    def _transact(self) -> tuple[str, Request]:
        """No item twice: DynamoDB Local lets that pass."""
        actions: list[Request] = []
        for key in self._keys(4):
            self._values = {}
            match self._rng.randrange(4):
                case 0:
                    actions.append({"Put": self._conditional({"Item": self.item() | key})})
                case 1:
                    text = self.update()
                    actions.append(
                        {"Update": self._conditional({"Key": key, "UpdateExpression": text}, text)}
                    )
                case 2:
                    actions.append({"Delete": self._conditional({"Key": key})})
                case _:
                    check: Request = {
                        "TableName": self._table,
                        "Key": key,
                        "ConditionExpression": self.condition(),
                    }
                    actions.append(
                        {"ConditionCheck": check | self._placeholders(check["ConditionExpression"])}
                    )
        return "TransactWriteItems", {"TransactItems": actions}

    def _transact_get(self) -> tuple[str, Request]:
        gets = [{"Get": {"TableName": self._table, "Key": key}} for key in self._keys(3, twice=0.1)]
        return "TransactGetItems", {"TransactItems": gets}
