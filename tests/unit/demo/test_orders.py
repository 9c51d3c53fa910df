"""The workload keeps within what the embedded DynamoDB does right, and has what it is there for."""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

from cdc.demo.orders import FOLLOWED, FOLLOWED_TAGS, FOLLOWED_TOTAL, MAX_ORDERS, Attributes, Request, Shop
from cdc.demo.values import Key, item


@pytest.fixture(scope="module")
def requests() -> Sequence[Request]:
    shop = Shop("orders")
    return [shop.place_followed(), *islice(shop.requests(), 2999)]


def test_every_write_changes_something_and_updates_meet_an_item(requests: Sequence[Request]) -> None:
    items: dict[Key, Attributes] = {}
    for request in requests:
        before = items.get(request.key)
        assert request.after != before
        assert (request.op == "c") == (before is None)
        if request.operation != "put_item":
            assert before is not None
        if request.after is None:
            assert request.op == "d"
            del items[request.key]
        else:
            items[request.key] = request.after


def test_the_mix(requests: Sequence[Request]) -> None:
    ops = Counter(request.op for request in requests)
    assert min(ops.values()) > 30
    operations = Counter(request.operation for request in requests)
    assert min(operations.values()) > 30
    writes = Counter(request.key for request in requests)
    assert len(writes) <= MAX_ORDERS
    assert max(writes.values()) > 50
    kinds = {kind for request in requests if request.after for kind, _ in _values(request.after)}
    assert kinds == {"S", "N", "B", "BOOL", "NULL", "SS", "NS", "L", "M"}


def test_numbers_are_as_dynamodb_returns_them(requests: Sequence[Request]) -> None:
    texts = [
        text
        for request in requests
        if request.after
        for kind, content in _values(request.after)
        for text in ([content] if kind == "N" else content if kind == "NS" else [])
    ]
    for text in texts:
        number = Decimal(text)
        assert text == f"{number:f}"
        assert "." not in text or text[-1] != "0"
    assert max(len(Decimal(text).as_tuple().digits) for text in texts) == 38


def test_the_followed_order(requests: Sequence[Request]) -> None:
    assert [request.op for request in requests if request.key == FOLLOWED] == ["c"]
    first = item(requests[0].after or {})
    assert first["total"] == ("N", Decimal(FOLLOWED_TOTAL))
    assert first["tags"] == ("SS", FOLLOWED_TAGS)
    assert len(Decimal(FOLLOWED_TOTAL).as_tuple().digits) == 38


def test_the_same_again() -> None:
    first, second = (list(islice(Shop("orders").requests(), 200)) for _ in range(2))
    assert first == second


def _values(attributes: Attributes) -> Iterator[tuple[str, Any]]:
    for attribute in attributes.values():
        ((kind, content),) = attribute.items()
        yield kind, content
        if kind == "M":
            yield from _values(content)
        elif kind == "L":
            for member in content:
                yield from _values({"": member})
