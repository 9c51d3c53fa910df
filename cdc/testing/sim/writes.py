"""PutItem, UpdateItem, DeleteItem and BatchWriteItem."""

from collections.abc import Callable, Mapping

from cdc.testing.sim.capacity import add_consumed, consumed, wants_capacity, write_units
from cdc.testing.sim.catalogue import Catalogue
from cdc.testing.sim.change import Item
from cdc.testing.sim.changes import (
    CONDITION_MEMBERS,
    Write,
    condition_failed,
    delete,
    put,
    update,
)
from cdc.testing.sim.expressions.paths import project
from cdc.testing.sim.requests import Request, Response, check_members, choice, invalid, required
from cdc.testing.sim.values import item_size

MOST_BATCH_WRITES = 25
MOST_BATCH_BYTES = 16 * 1024 * 1024
_MEMBERS = (*CONDITION_MEMBERS, "ReturnValues", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics")
_PUT_MEMBERS = frozenset((*_MEMBERS, "Item"))
_DELETE_MEMBERS = frozenset((*_MEMBERS, "Key"))
_UPDATE_MEMBERS = frozenset((*_MEMBERS, "Key", "UpdateExpression"))
_BATCH_MEMBERS = frozenset(("RequestItems", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics"))
_OLD_ONLY = ("ALL_OLD", "NONE")
_ALL = ("ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW", "NONE")


class Writes:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def handlers(self) -> Mapping[str, Callable[[Request], Response]]:
        return {
            "PutItem": self.put_item,
            "UpdateItem": self.update_item,
            "DeleteItem": self.delete_item,
            "BatchWriteItem": self.batch_write_item,
        }

    def put_item(self, request: Request) -> Response:
        check_members(request, _PUT_MEMBERS)
        return self._write(request, put, _OLD_ONLY)

    def delete_item(self, request: Request) -> Response:
        check_members(request, _DELETE_MEMBERS)
        return self._write(request, delete, _OLD_ONLY)

    def update_item(self, request: Request) -> Response:
        check_members(request, _UPDATE_MEMBERS)
        return self._write(request, update, _ALL)

    def _write(
        self, request: Request, prepare: Callable[[Catalogue, Request], Write], may_return: tuple[str, ...]
    ) -> Response:
        returned = choice(request, "ReturnValues", may_return, "NONE")
        write = prepare(self._catalogue, request)
        old = write.table.items.get(write.place)
        if not write.allowed(old):
            raise condition_failed(write, old)
        new = write.makes(old)
        self._carry_out(write, new)
        response: Response = {}
        attributes = _attributes(returned, write, old, new)
        if attributes:
            response["Attributes"] = attributes
        if wants_capacity(request):
            response["ConsumedCapacity"] = consumed(request, write.table.name, write_units(old, new))
        return response

    def _carry_out(self, write: Write, new: Item | None) -> None:
        change = write.table.write(write.place, new, now=self._catalogue.now())
        if change is not None:
            self._catalogue.tell(write.table, [change])

    def batch_write_item(self, request: Request) -> Response:
        """Entries are written one by one; each is a request of its own but for the answer."""
        check_members(request, _BATCH_MEMBERS)
        entries = [(name, entry) for name, one in required(request, "RequestItems").items() for entry in one]
        if not entries or not all(request["RequestItems"].values()):
            raise invalid("The batch write request list for a table cannot be null or empty")
        if len(entries) > MOST_BATCH_WRITES:
            raise invalid("Too many items requested for the BatchWriteItem call")
        writes = [self._entry(name, entry) for name, entry in entries]
        if len({(write.table.name, write.place) for write in writes}) < len(writes):
            raise invalid("Provided list of item keys contains duplicates")
        if sum(item_size(write.makes(None) or {}) for write in writes) > MOST_BATCH_BYTES:
            raise invalid("The batch is bigger than 16 MB")
        chance, rng = self._catalogue.behaviour.unprocessed, self._catalogue.rng
        unprocessed: dict[str, list[Mapping[str, Mapping[str, Item]]]] = {}
        units: dict[str, float] = {}
        for at, ((name, entry), write) in enumerate(zip(entries, writes, strict=True)):
            if at and chance and rng.random() < chance:
                unprocessed.setdefault(name, []).append(entry)
                continue
            old, new = write.table.items.get(write.place), write.makes(None)
            self._carry_out(write, new)
            units[write.table.name] = units.get(write.table.name, 0.0) + write_units(old, new)
        return add_consumed({"UnprocessedItems": unprocessed}, request, units)

    def _entry(self, name: str, entry: Mapping[str, Mapping[str, Item]]) -> Write:
        if entry.keys() == {"PutRequest"}:
            return put(self._catalogue, {"TableName": name, **entry["PutRequest"]})
        if entry.keys() == {"DeleteRequest"}:
            return delete(self._catalogue, {"TableName": name, **entry["DeleteRequest"]})
        raise invalid(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
            if entry
            else "Supplied WriteRequest is empty, must contain a PutRequest or a DeleteRequest"
        )


def _attributes(returned: str, write: Write, old: Item | None, new: Item | None) -> Item | None:
    match returned:
        case "ALL_OLD":
            return old
        case "ALL_NEW":
            return new
        case "UPDATED_OLD":
            return project(old or {}, write.paths or {})
        case "UPDATED_NEW":
            return project(new or {}, write.paths or {})
        case _:
            return None
