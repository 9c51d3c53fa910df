"""Kafka messages of an encoded batch: framing, headers, tombstones."""

from cdc.model import EncodedBatch, EventName
from schemas.framing import header

HEADERS_VERSION = b"1"
"""Of the shape that `schemas/kafka-headers.schema.json` describes."""

Headers = list[tuple[str, bytes | str]]

Message = tuple[bytes, bytes | None, Headers | None, int]
"""Key, value (None: a tombstone), headers, and the index of the change in the encoding."""

_SHAPE: tuple[str, bytes | str] = ("cdc.headers", HEADERS_VERSION)
_REPLAYED: tuple[str, bytes | str] = ("cdc.replayed", b"1")
_OPS: dict[EventName, tuple[str, bytes | str]] = {
    "INSERT": ("cdc.op", b"c"),
    "MODIFY": ("cdc.op", b"u"),
    "REMOVE": ("cdc.op", b"d"),
}


def messages_of(encoded: EncodedBatch, *, tombstones: bool, headers: bool) -> list[Message]:
    """All messages of a batch, in order; a delete's tombstone follows its value at once. Those of dead letters that are
    sent again have headers in any case: one of them says so."""
    avro = encoded.avro
    if avro is None:
        return []
    key_frame, value_frame = header(avro.key_schema.id), header(avro.value_schema.id)
    # `cdc.model.version`, with what is the same for a whole stream made once: sequence numbers have up to 40 digits
    # (API reference, SequenceNumber), so that padding the text is padding the number.
    prefix = f"{encoded.batch.stream.created_ms:013d}-{0:06d}-"
    replayed = encoded.batch.replayed
    messages: list[Message] = []
    for index, (change, key, value) in enumerate(zip(avro.changes, avro.keys, avro.values, strict=True)):
        framed = key_frame + key
        event = change.event_name
        own: Headers | None = None
        if headers or replayed:
            own = [_SHAPE, _OPS[event], ("cdc.version", prefix + change.dynamodb.sequence_number.zfill(40))]
            if replayed:
                own.append(_REPLAYED)
        messages.append((framed, value_frame + value, own, index))
        if tombstones and event == "REMOVE":
            messages.append((framed, None, own, index))
    return messages
