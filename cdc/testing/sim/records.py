"""Records as `GetRecords` gives them: made once, when they are written."""

import json
from random import Random
from typing import Any

import msgspec

from cdc.testing.sim.change import ItemChange
from cdc.testing.sim.values import item_size

_IMAGES = {
    "KEYS_ONLY": (False, False),
    "NEW_IMAGE": (False, True),
    "OLD_IMAGE": (True, False),
    "NEW_AND_OLD_IMAGES": (True, True),
}
"""By view type: whether the old image is in a record, and the new one."""

_TTL = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
"""Who deletes expired items (Developer Guide, "DynamoDB Streams and Time to Live"); capitalised in this API."""

_ENCODER = msgspec.json.Encoder()


def encode(answer: Any) -> bytes:
    """As JSON. Half of a surrogate pair can stand there, escaped, as it can in a request; in UTF-8 it cannot."""
    try:
        return _ENCODER.encode(answer)
    except UnicodeEncodeError:
        return json.dumps(answer, separators=(",", ":")).encode()


class Recorder:
    def __init__(self, rng: Random, view_type: str, region: str) -> None:
        self._rng, self._view_type, self._region = rng, view_type, region
        self._old, self._new = _IMAGES[view_type]

    def record(self, change: ItemChange, sequence: int, now: float) -> bytes:
        """Times are rounded down to the second; an image that is not there is an absent member."""
        dynamodb: dict[str, Any] = {"ApproximateCreationDateTime": int(now), "Keys": change.keys}
        size = item_size(change.keys)
        if self._new and change.new is not None:
            dynamodb["NewImage"] = change.new
            size += item_size(change.new)
        if self._old and change.old is not None:
            dynamodb["OldImage"] = change.old
            size += item_size(change.old)
        dynamodb |= {
            "SequenceNumber": str(sequence),
            "SizeBytes": size,
            "StreamViewType": self._view_type,
        }
        record: dict[str, Any] = {
            "eventID": f"{self._rng.getrandbits(128):032x}",
            "eventName": change.event_name,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": self._region,
            "dynamodb": dynamodb,
        }
        if change.by_ttl:
            record["userIdentity"] = _TTL
        return encode(record)
