"""The five bytes before every Avro value on Kafka: 0x00 and the schema's id, four bytes, big-endian.

It is the wire format of Confluent's serializers (Confluent documentation, "Wire format"), which most registries' clients
share.
"""

import struct

_MAGIC = 0
_HEADER = struct.Struct(">Bi")


def header(schema_id: int) -> bytes:
    """What a value of this schema begins with; the same for all of a batch.

    Raises:
        ValueError: the id is negative or has more than 31 bits (readers take it for a signed integer).
    """
    if not 0 <= schema_id < 1 << 31:
        raise ValueError(f"schema id {schema_id} has no four-byte form")
    return _HEADER.pack(_MAGIC, schema_id)


def frame(schema_id: int, data: bytes) -> bytes:
    """`data`, Avro binary, with its header."""
    return header(schema_id) + data


def unframe(message: bytes) -> tuple[int, bytes]:
    """The schema id and the Avro binary of a framed message.

    Raises:
        ValueError: it is not framed this way.
    """
    if len(message) < _HEADER.size or message[0] != _MAGIC:
        raise ValueError("not a framed Avro value: it does not begin with 0x00 and a schema id")
    schema_id: int = _HEADER.unpack_from(message)[1]
    if schema_id < 0:
        raise ValueError("not a framed Avro value: its schema id is negative")
    return schema_id, message[_HEADER.size :]
