"""Items and their keys: what a table takes in, and where an item stands in its order."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cdc.testing.sim.change import Item, Value
from cdc.testing.sim.requests import MismatchError, invalid, malformed
from cdc.testing.sim.values import canonical, check_name, empty_name, item_size, size_of, sortable, type_of

MOST_ITEM_BYTES = 400 * 1024
MOST_HASH_KEY_BYTES = 2048
MOST_RANGE_KEY_BYTES = 1024

Place = tuple[int, Any, Any]
"""Where an item stands in its table: the hash of its partition key, then that key, then its sort key.

Scans go in this order, queries within one partition; a scan's segment is a range of the hash.
"""

HASHES = 1 << 64


@dataclass(frozen=True, slots=True)
class KeySchema:
    """The names of a table's key attributes, and their types: S, N or B."""

    partition: str
    partition_type: str
    sort: str | None = None
    sort_type: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.partition,) if self.sort is None else (self.partition, self.sort)

    def wire(self) -> list[dict[str, str]]:
        schema = [{"AttributeName": self.partition, "KeyType": "HASH"}]
        if self.sort is not None:
            schema.append({"AttributeName": self.sort, "KeyType": "RANGE"})
        return schema

    def key_of(self, item: Item) -> Item:
        """The key attributes of a whole item."""
        if self.sort is None:
            return {self.partition: item[self.partition]}
        return {self.partition: item[self.partition], self.sort: item[self.sort]}

    def place(self, item: Item) -> Place:
        """Of an item that has its key, or of a key."""
        value = item[self.partition]
        return partition_hash(value), sortable(value), 0 if self.sort is None else sortable(item[self.sort])

    def check_item(self, item: Item) -> None:
        """Raises: MismatchError: its key is not whole, or an attribute of it not allowed."""
        for name, expected in self._attributes():
            value = item.get(name)
            if value is None:
                raise MismatchError(
                    f"One or more parameter values were invalid: Missing the key {name} in the item"
                )
            if expected not in value:
                raise MismatchError(
                    f"One or more parameter values were invalid: Type mismatch for key {name} expected: {expected} "
                    f"actual: {type_of(value)}"
                )
            self._check_size(name, item)

    def read_key(self, raw: Any) -> Item:
        """The `Key` of a request.

        Raises:
            MismatchError: other attributes than the schema's, or of other types.
            ServiceError: values that no table would take.
        """
        key = read_attributes(raw)
        expected = self._attributes()
        if len(key) != len(expected):
            raise MismatchError("The number of conditions on the keys is invalid")
        for name, kind in expected:
            if kind not in key.get(name, ()):
                raise MismatchError("The provided key element does not match the schema")
            self._check_size(name, key)
        return key

    def _attributes(self) -> tuple[tuple[str, str], ...]:
        first = (self.partition, self.partition_type)
        return (first,) if self.sort is None else (first, (self.sort, self.sort_type))

    def _check_size(self, name: str, item: Item) -> None:
        size = size_of(item[name])
        if size == 0:
            raise MismatchError(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
                f"empty {'string' if 'S' in item[name] else 'binary'} value. Key: {name}"
            )
        if name == self.partition and size > MOST_HASH_KEY_BYTES:
            raise MismatchError(
                "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of "
                f"{MOST_HASH_KEY_BYTES} bytes"
            )
        if name == self.sort and size > MOST_RANGE_KEY_BYTES:
            raise MismatchError(
                "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size "
                f"limit of {MOST_RANGE_KEY_BYTES} bytes"
            )


def read_attributes(raw: Any) -> Item:
    """The attributes of a request, canonical, in dicts that are nobody else's.

    Raises:
        ServiceError: ValidationException or SerializationException.
    """
    if not isinstance(raw, Mapping):
        raise malformed("Expected a map of attribute values")
    if "" in raw:
        raise empty_name()
    return {check_name(name): canonical(value) for name, value in raw.items()}


def check_size(item: Item, *, updated: bool = False) -> None:
    """Raises: ServiceError: ValidationException: more than 400 KB."""
    if item_size(item) > MOST_ITEM_BYTES:
        what = "Item size to update has" if updated else "Item size has"
        raise invalid(f"{what} exceeded the maximum allowed size")


def partition_hash(value: Value) -> int:
    """Of a partition key; spread over 0 … HASHES, the same in every process."""
    ((kind, content),) = value.items()
    digest = hashlib.blake2b(f"{kind}{content}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big")
