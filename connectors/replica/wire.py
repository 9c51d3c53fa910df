"""Guarded requests as the JSON that DynamoDB takes (API reference: PutItem, TransactWriteItems)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from cdc.errors import ErrorKind
from cdc.model import Change, KeyAttribute
from connectors.replica.answers import RefusedError
from connectors.replica.guard import VERSION_ATTRIBUTE, Condition, Place, Request, Verb
from connectors.replica.keys import same_value

TOMBSTONE_KEY = "id"
"""Partition key of the tombstones, type S."""
TOMBSTONE_EXPIRY = "expires_at"
"""TTL attribute of the tombstones: epoch seconds."""

_top_level = msgspec.json.Decoder(dict[str, msgspec.Raw])

_VERBS = {Verb.PUT: b"Put", Verb.DELETE: b"Delete", Verb.CHECK: b"ConditionCheck"}

# An absent item has no version either.
_OLDER = "attribute_not_exists(#v) OR #v < :v"
_CONDITIONS = {
    Condition.ABSENT_OR_OLDER: _OLDER,
    Condition.EXISTS_AND_OLDER: f"attribute_exists(#k) AND ({_OLDER})",
}


class Call(NamedTuple):
    operation: str
    body: bytes


class Values(NamedTuple):
    """What a request is about."""

    version: str
    keys: bytes
    """DynamoDB JSON."""
    item: bytes
    """DynamoDB JSON with the version in it; empty for a delete."""
    tombstone: str
    expires_at: int
    """Epoch seconds."""


def item_with_version(change: Change, schema: Sequence[KeyAttribute], version: str) -> bytes:
    """The new image as it came, with the version as its last attribute.

    Raises:
        RefusedError: there is no image, or none that could carry it.
    """
    image = change.dynamodb.new_image
    try:
        attributes = _top_level.decode(image) if image else {}
        keys = _top_level.decode(change.dynamodb.keys)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RefusedError(ErrorKind.UNENCODABLE, "the record's new image is no item") from None
    if not attributes:
        raise RefusedError(ErrorKind.UNENCODABLE, "the record has no new image")
    if VERSION_ATTRIBUTE in attributes:
        raise RefusedError(
            ErrorKind.REJECTED,
            f"the item has an attribute {VERSION_ATTRIBUTE} of its own, which the guard `versioned` needs",
        )
    if not _same_keys(attributes, keys, schema):
        raise RefusedError(ErrorKind.UNENCODABLE, "the record's new image has another key than the record")
    return b'%b,"%b":{"S":"%b"}}' % (bytes(image)[:-1], VERSION_ATTRIBUTE.encode(), version.encode())


def _same_keys(
    attributes: Mapping[str, msgspec.Raw], keys: Mapping[str, msgspec.Raw], schema: Sequence[KeyAttribute]
) -> bool:
    return all(
        attribute.name in attributes
        and same_value(attributes[attribute.name], keys[attribute.name], attribute)
        for attribute in schema
    )


class Wire:
    """Requests to one replica and its tombstones.

    Args:
        replica: table name.
        tombstones: table name.
        partition_key: name of the replica's partition key.
    """

    def __init__(self, replica: str, tombstones: str, partition_key: str) -> None:
        self._tables = {
            Place.REPLICA: msgspec.json.encode(replica),
            Place.TOMBSTONES: msgspec.json.encode(tombstones),
        }
        self._conditions = {
            (place, condition): self._condition(condition, key)
            for place, key in ((Place.REPLICA, partition_key), (Place.TOMBSTONES, TOMBSTONE_KEY))
            for condition in _CONDITIONS
        }

    @staticmethod
    def _condition(condition: Condition, key: str) -> bytes:
        names = {"#v": VERSION_ATTRIBUTE}
        if condition is Condition.EXISTS_AND_OLDER:
            names["#k"] = key  # a name that no expression uses is an error
        return b'"ConditionExpression":%b,"ExpressionAttributeNames":%b' % (
            msgspec.json.encode(_CONDITIONS[condition]),
            msgspec.json.encode(names),
        )

    def call(self, request: Request, values: Values) -> Call:
        """The call that carries out `request`."""
        if len(request) == 1:
            action = request[0]
            return Call("PutItem", self._action(action.place, action.verb, action.condition, values))
        actions = b",".join(
            b'{"%b":%b}' % (_VERBS[verb], self._action(place, verb, condition, values))
            for place, verb, condition in request
        )
        return Call("TransactWriteItems", b'{"TransactItems":[%b]}' % actions)

    def _action(self, place: Place, verb: Verb, condition: Condition, values: Values) -> bytes:
        version = values.version.encode()
        if place is Place.REPLICA:
            key, item = values.keys, values.item
        else:
            id_ = b'"%b":{"S":"%b"}' % (TOMBSTONE_KEY.encode(), values.tombstone.encode())
            key = b"{%b}" % id_
            item = b'{%b,"%b":{"S":"%b"},"%b":{"N":"%d"}}' % (
                id_,
                VERSION_ATTRIBUTE.encode(),
                version,
                TOMBSTONE_EXPIRY.encode(),
                values.expires_at,
            )
        what = b'"Item":%b' % item if verb is Verb.PUT else b'"Key":%b' % key
        return (
            b'{"TableName":%b,%b,%b,"ExpressionAttributeValues":{":v":{"S":"%b"}},'
            b'"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}'
        ) % (self._tables[place], what, self._conditions[place, condition], version)
