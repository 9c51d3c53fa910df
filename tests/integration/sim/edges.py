"""Requests at the edges of what the service takes, on a table with the keys `pk` (S) and `sk` (N)."""

from collections.abc import Iterator
from typing import Any

from tests.sim_tables.world import STREAM, table_of

Request = dict[str, Any]

NUMBERS = (
    *(
        "0",
        "-0",
        "+3",
        ".5",
        "5.",
        "001",
        "1.10",
        "1E+2",
        "1e125",
        "9.9e125",
        "1e126",
        "1e-130",
        "1e-131",
        "0.0e126",
    ),
    *(
        "",
        " 1",
        "1 ",
        "1_0",
        "NaN",
        "Infinity",
        "0x1",
        "1e",
        "1.2.3",
        "--1",
        "1" * 38,
        "1" * 39,
        "1" + "0" * 60,
    ),
    *("1." + "0" * 60, "0." + "0" * 60 + "1" * 38, "0." + "1" * 39),
)
VALUES: tuple[Any, ...] = (
    *(
        {"S": ""},
        {"B": ""},
        {"SS": [""]},
        {"L": []},
        {"M": {}},
        {"NULL": True},
        {"SS": []},
        {"SS": ["a", "a"]},
    ),
    *({"NS": ["1", "1.0"]}, {"BS": ["AAA=", "AAA="]}, {"NULL": False}, {}, {"S": "a", "N": "1"}, {"L": [{}]}),
    *({"M": {"": {"S": "a"}}}, {"M": {"a": {"N": "x"}}}, {"S": "x" * 409_600}, {"S": "x" * 409_590}),
)
KEYS: tuple[Any, ...] = (
    *({}, {"pk": {"S": "a"}}, {"sk": {"N": "1"}}, {"pk": {"S": ""}, "sk": {"N": "1"}}),
    *({"pk": {"N": "1"}, "sk": {"N": "1"}}, {"pk": {"S": "a"}, "sk": {"S": "1"}}),
    *({"pk": {"S": "x" * 2048}, "sk": {"N": "1"}}, {"pk": {"S": "x" * 2049}, "sk": {"N": "1"}}),
    {"pk": {"S": "a"}, "sk": {"N": "1"}, "more": {"S": "b"}},
)
CONDITIONS = (
    *(
        "",
        "n",
        "n =",
        "n = 1",
        "= n",
        "n == n",
        "_n = n",
        "n = n",
        "((n = m))",
        "(n = m)",
        "(n = m) AND (m = n)",
    ),
    *(
        "name = n",
        "n.name = m",
        "Attribute_exists(n)",
        "attribute_exists(n, m)",
        "attribute_exists()",
        "foo(n)",
    ),
    *(
        "size(n)",
        "size(n) = size(m)",
        "attribute_exists(size(n))",
        "NOT NOT n = m",
        "n = m AND",
        "n IN ()",
        "n IN (n)",
    ),
    *(
        "n BETWEEN m",
        "n between m and l",
        "n in (m)",
        "n[0] = m",
        "n[a] = m",
        "n[2147483648] = m",
        "n..m = l",
    ),
    *(
        "attribute_type(n, m)",
        "list_append(n, m) = l",
        "if_not_exists(n, m) = l",
        "#undefined = n",
        "n = :undefined",
    ),
    *(
        "(n) = m",
        "((n)) = m",
        "n = (m)",
        "(size(l)) = n",
        "((n) = m)",
        "(n = m) = l",
        "((n = m)) OR n = l",
        "(n).a = m",
    ),
    *("n IN ((m), l)", "size((l)) = n", "attribute_exists((n))", "NOT ((n = m))", "(n = m"),
    *(".".join("n" * 32) + " = m", ".".join("n" * 33) + " = m", " OR ".join(["n = m"] * 100)),
)
UPDATES = (
    *(
        "",
        "SET",
        "SET n",
        "SET n = m,",
        "SET n = m SET l = m",
        "set n = pk",
        "SET n = m + l + l",
        "SET n = size(m)",
    ),
    *(
        "SET pk = n",
        "SET pk.a = n",
        "REMOVE sk",
        "REMOVE n, n",
        "REMOVE n, n.m",
        "REMOVE n[0], n.m",
        "ADD n m",
    ),
    *(
        "SET n = nope",
        "SET n = nope + m",
        "REMOVE nope",
        "REMOVE nope.a",
        "REMOVE n[0]",
        "REMOVE n.a",
    ),
    *(
        "SET n = if_not_exists(nope, m)",
        "SET n = if_not_exists(nope)",
        "SET n = list_append(n)",
        "DROP n",
        *(
            "SET q = (n + n)",
            "SET q = (n) + n",
            "SET q = n + (m.a)",
            "SET q = ((n + n))",
            "SET q = (n + n) + n",
        ),
        *("SET q = ((n))", "SET q = if_not_exists((n), (m))", "SET q = list_append((l), l)", "SET (q) = n"),
        *("SET q = n + (n - n)", "SET q = ((n) + n)", "REMOVE (q)"),
    ),
    *(
        "SET nope.a = n",
        "SET nope[0] = n",
        "SET l[0] = n REMOVE l[1]",
        "SET l[9] = n, l[7] = m",
        "REMOVE l[9]",
    ),
    *(
        "REMOVE l[0], l[1]",
        "SET m.fresh = n",
        "SET m.fresh.deep = n",
        "SET m[0] = n",
        "SET l.a = n",
        "REMOVE name",
    ),
)


def item_edges(table: str) -> Iterator[tuple[str, Request]]:
    key = {"pk": {"S": "a"}, "sk": {"N": "1"}}
    for value in (*({"N": number} for number in NUMBERS), *VALUES, *map(nested, (30, 31, 32))):
        yield "PutItem", {"TableName": table, "Item": {**key, "v": value}}
        yield "GetItem", {"TableName": table, "Key": key, "ConsistentRead": True}
    for one in KEYS:
        for operation in ("GetItem", "DeleteItem", "UpdateItem"):
            yield operation, {"TableName": table, "Key": one}
        yield "PutItem", {"TableName": table, "Item": one}
    for name in ("ALL_OLD", "ALL_NEW", "UPDATED_NEW", "NONE", "none"):
        yield "PutItem", {"TableName": table, "Item": key, "ReturnValues": name}
    condition = {"ConditionExpression": "attribute_exists(pk)"}
    for name, one in (("ExpressionAttributeNames", "b"), ("ExpressionAttributeValues", {"S": "b"})):
        yield "PutItem", {"TableName": table, "Item": key, name: {"#a": one}}
        for given in ({}, {"a": one}, {"#a": one}, {":a": one}):
            yield "PutItem", {"TableName": table, "Item": key, name: given, **condition}


def expression_edges(table: str) -> Iterator[tuple[str, Request]]:
    key = {"pk": {"S": "b"}, "sk": {"N": "1"}}
    item = {
        **key,
        "n": {"N": "1"},
        "m": {"M": {"a": {"N": "1"}}},
        "l": {"L": [{"N": "1"}, {"S": "b"}, {"S": "c"}]},
    }
    for condition in CONDITIONS:
        yield "PutItem", {"TableName": table, "Item": item, "ConditionExpression": condition}
    for update in UPDATES:
        yield "PutItem", {"TableName": table, "Item": item}
        yield (
            "UpdateItem",
            {"TableName": table, "Key": key, "UpdateExpression": update, "ReturnValues": "ALL_NEW"},
        )
    for number in ("1e50", "1", "9e125", "-9e125", "12345678901234567890123456789012345678", "0.1", "1e-130"):
        for sign in "+-":
            yield (
                "PutItem",
                {"TableName": table, "Item": {**item, "n": {"N": "99999999999999999999999999999999999999"}}},
            )
            change = {
                "UpdateExpression": f"SET n = n {sign} :n",
                "ExpressionAttributeValues": {":n": {"N": number}},
            }
            yield "UpdateItem", {"TableName": table, "Key": key, **change, "ReturnValues": "ALL_NEW"}


def page_edges(table: str) -> Iterator[tuple[str, Request]]:
    yield "Query", {"TableName": table}
    for start in ({"pk": {"S": "a"}}, {"pk": {"S": "a"}, "sk": {"S": "1"}}):
        yield "Scan", {"TableName": table, "ExclusiveStartKey": start}
    for more in (
        *(
            {"Segment": 0},
            {"TotalSegments": 2},
            {"Segment": 2, "TotalSegments": 2},
            {"Segment": -1, "TotalSegments": 2},
        ),
        *(
            {"Segment": 0, "TotalSegments": 1_000_001},
            {"Limit": 0},
            {"Select": "SPECIFIC_ATTRIBUTES"},
            {"Select": "NO"},
        ),
        *({"Select": "COUNT", "ProjectionExpression": "n"}, {"ProjectionExpression": "n, n"}),
        {"ProjectionExpression": ""},
    ):
        yield "Scan", {"TableName": table, **more}
    values = {":p": {"S": "b"}, ":s": {"N": "1"}, ":t": {"N": "3"}}
    for condition in (
        *(
            "pk = :p",
            ":p = pk",
            "(pk = :p)",
            "pk = :p AND sk < :s",
            "sk < :s AND pk = :p",
            "(pk = :p) AND (sk < :s)",
        ),
        *(
            "pk > :p",
            "sk = :s",
            "pk = :s",
            "pk = :p AND sk = :p",
            "pk = :p AND sk <> :s",
            "pk = :p AND n = :s",
        ),
        *("pk = :p AND sk IN (:s)", "pk = :p OR sk = :s", "NOT pk = :p", "pk = :p AND pk = :p", "pk = sk"),
        *("pk = :p AND begins_with(sk, :s)", "pk = :p AND begins_with(sk, :p)", "pk = :p AND size(sk) = :s"),
        *("pk = :p AND sk BETWEEN :s AND :t", "pk = :p AND sk BETWEEN :t AND :s", "attribute_exists(pk)"),
        "pk = :p AND sk > :s AND sk < :t",
    ):
        used = {name: value for name, value in values.items() if name in condition}
        request = {"TableName": table, "KeyConditionExpression": condition}
        yield "Query", request | ({"ExpressionAttributeValues": used} if used else {})
    yield (
        "Query",
        {
            "TableName": table,
            "KeyConditionExpression": "pk = :p",
            "FilterExpression": "sk > :s",
            "ExpressionAttributeValues": {":p": {"S": "b"}, ":s": {"N": "1"}},
        },
    )


def batch_edges(table: str) -> Iterator[tuple[str, Request]]:
    keys = [{"pk": {"S": "c"}, "sk": {"N": str(number)}} for number in range(101)]
    puts = [{"PutRequest": {"Item": key}} for key in keys]
    batches: tuple[list[Any], ...] = (
        puts[:25],
        puts[:26],
        [puts[0], puts[0]],
        [],
        [{}],
        [{**puts[0], "DeleteRequest": {"Key": keys[1]}}],
    )
    for writes in batches:
        yield "BatchWriteItem", {"RequestItems": {table: writes}}
    yield "BatchWriteItem", {"RequestItems": {}}
    yield "BatchWriteItem", {"RequestItems": {"no-such-table": puts[:1]}}
    yield (
        "BatchWriteItem",
        {"RequestItems": {table: [puts[30], {"PutRequest": {"Item": {"pk": {"S": "c"}}}}]}},
    )
    for some in (keys[:100], keys, [keys[0], keys[0]], []):
        yield "BatchGetItem", {"RequestItems": {table: {"Keys": some}}}
    yield "BatchGetItem", {"RequestItems": {}}
    yield "BatchGetItem", {"RequestItems": {"no-such-table": {"Keys": keys[:1]}}}


def transaction_edges(table: str) -> Iterator[tuple[str, Request]]:
    key = {"pk": {"S": "d"}, "sk": {"N": "1"}}
    put = {"Put": {"TableName": table, "Item": key}}
    many = [{"Put": {"TableName": table, "Item": {**key, "sk": {"N": str(number)}}}} for number in range(101)]
    other = {"Put": {"TableName": "no-such-table", "Item": key}}
    fails = {"Delete": {"TableName": table, "Key": key, "ConditionExpression": "attribute_exists(nothing)"}}
    both = {**put, "Delete": {"TableName": table, "Key": key}}
    check = {"ConditionCheck": {"TableName": table, "Key": key}}
    lists: tuple[list[Any], ...] = (
        [put],
        [put, other],
        [fails, many[7]],
        [{}],
        [both],
        [check],
        [],
        many[:100],
        many,
    )
    for actions in lists:
        yield "TransactWriteItems", {"TransactItems": actions}
    add = {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "ADD n :n",
        "ExpressionAttributeValues": {":n": {"N": "1"}},
    }
    for token, actions in (
        *(
            (f"{table[-30:]}-a", [{"Update": add}]),
            (f"{table[-30:]}-a", [{"Update": add}]),
            ("x" * 37, [put]),
        ),
        *((f"{table[-30:]}-a", [put]), (f"{table[-30:]}-b", [fails]), (f"{table[-30:]}-b", [many[3]])),
    ):
        yield "TransactWriteItems", {"TransactItems": actions, "ClientRequestToken": token}
        yield "GetItem", {"TableName": table, "Key": key, "ConsistentRead": True}
    get = {"Get": {"TableName": table, "Key": key}}
    for gets in ([get], [get, get], [{"Get": {"TableName": "no-such-table", "Key": key}}], []):
        yield "TransactGetItems", {"TransactItems": gets}


def settings_edges(table: str) -> Iterator[tuple[str, Request]]:
    """Of tables; `table` is there, and has a stream."""
    name = f"{table}-2"
    plain = table_of(name, "S", None)
    definition = plain["AttributeDefinitions"][0]
    changes: tuple[Request, ...] = (
        *({"TableName": table}, {"TableName": "ab"}, {"TableName": "a$$"}, {"KeySchema": []}),
        *(
            {"AttributeDefinitions": []},
            {"AttributeDefinitions": [definition, {**definition, "AttributeName": "x"}]},
        ),
        *(
            {"AttributeDefinitions": [{**definition, "AttributeType": "BOOL"}]},
            {"BillingMode": "PROVISIONED"},
        ),
        {"KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}]},
        {"KeySchema": [{"AttributeName": "pk", "KeyType": kind} for kind in ("HASH", "RANGE")]},
        {"StreamSpecification": {"StreamEnabled": True}},
        {"StreamSpecification": {"StreamEnabled": False, "StreamViewType": "KEYS_ONLY"}},
        {"StreamSpecification": {"StreamEnabled": False}},
    )
    for change in changes:
        yield "CreateTable", {**plain, **change}
    off = {"StreamEnabled": False}
    for specification in (
        STREAM,
        off,
        off,
        {"StreamEnabled": True},
        {**off, "StreamViewType": "NEW_IMAGE"},
        STREAM,
    ):
        yield "UpdateTable", {"TableName": name, "StreamSpecification": specification}
        yield "DescribeTable", {"TableName": name}
    for operation in ("DescribeTable", "DeleteTable", "DescribeTimeToLive", "UpdateTable"):
        yield (
            operation,
            {
                "TableName": "no-such-table",
                **({"BillingMode": "PAY_PER_REQUEST"} if operation == "UpdateTable" else {}),
            },
        )
    yield "UpdateTable", {"TableName": name}
    yield "DescribeTimeToLive", {"TableName": name}
    for enabled, attribute in (
        (True, "x"),
        (True, "x"),
        (True, "y"),
        (False, "y"),
        (False, "x"),
        (False, "x"),
    ):
        specification = {"Enabled": enabled, "AttributeName": attribute}
        yield "UpdateTimeToLive", {"TableName": name, "TimeToLiveSpecification": specification}
        yield "DescribeTimeToLive", {"TableName": name}
    yield "DeleteTable", {"TableName": name}
    yield "DeleteTable", {"TableName": name}
    for limit in (0, 101):
        yield "ListTables", {"Limit": limit}


def nested(levels: int) -> dict[str, Any]:
    """A text in so many maps."""
    value: dict[str, Any] = {"S": "x"}
    for _ in range(levels):
        value = {"M": {"m": value}}
    return value
