"""Mode `document`: an image travels as the text that DynamoDB sent, so nothing can get lost on the way.

The key attributes are typed; the schema depends on nothing else, so it never changes. The image is checked, not
rewritten: what is delivered is the service's own JSON, byte for byte, white space included.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from cdc.errors import ConfigError, ErrorKind
from cdc.model import Batch, Change, EncodedBatch, Encoding, KeyAttribute, RegisteredSchema, Reject, Stream
from cdc.ports import SchemaRegistry
from schemas import avro, envelope
from schemas.attribute_value import InvalidValueError, canonical_number, parse_item
from schemas.envelope import EnvelopeName, WriteValue
from schemas.subjects import Subjects

_YEAR_10000 = 253_402_300_800
"""Epoch seconds."""

_key_decoder = msgspec.json.Decoder(dict[str, dict[str, str]])


@dataclass(frozen=True, slots=True)
class _Schemas:
    key: RegisteredSchema
    value: RegisteredSchema


class DocumentEncoder:
    """An `Encoder` for all tables of one sink. Several threads may use it at once: what it remembers between two
    batches is only which schemas are registered, and registering twice gives the same ids.

    Args:
        registry: where each table's two schemas are registered, before its first batch is encoded.
        envelope: `debezium` or `flat`.
        pipeline: the name in Debezium's `source` block.
        release: the version of this software there.
        subjects: under which names the schemas are registered; without it under the records' own.
    """

    def __init__(
        self,
        registry: SchemaRegistry,
        envelope: EnvelopeName,
        *,
        pipeline: str,
        release: str,
        subjects: Subjects | None = None,
    ) -> None:
        self._registry = registry
        self._envelope = envelope
        self._pipeline = pipeline
        self._release = release
        self._subjects = subjects or Subjects()
        self._schemas: dict[tuple[str, tuple[KeyAttribute, ...]], _Schemas] = {}

    def check(self, stream: Stream) -> None:
        """
        Raises:
            ConfigError: this envelope cannot tell what this stream has to say.
        """
        if self._envelope == "flat" and not envelope.has_new_image(stream.view_type):
            raise ConfigError(
                f"table {stream.table}: the envelope 'flat' needs the new image, and the stream's view type is "
                f"{stream.view_type}",
                remedy="give the table a stream with NEW_IMAGE or NEW_AND_OLD_IMAGES, or use the envelope 'debezium'",
            )

    def encode(self, batch: Batch) -> EncodedBatch:
        """
        Raises:
            ConfigError: as `check`.
            RegistryError: a schema could not be registered.
        """
        self.check(batch.stream)
        write_key = _key_writer(batch.stream.key)
        write_value = self._value_writer(batch)
        promised = envelope.has_new_image(batch.stream.view_type)
        has_before = self._envelope != "flat"
        changes: list[Change] = []
        keys: list[bytes] = []
        values: list[bytes] = []
        rejects: list[Reject] = []
        for change in batch.changes:
            images = change.dynamodb
            try:
                _check_time(change)
                key = write_key(images.keys)
                old = _image(images.old_image) if has_before else None
                new = _image(images.new_image, required=promised and change.event_name != "REMOVE")
            except InvalidValueError as error:
                rejects.append(batch.reject(change, ErrorKind.UNENCODABLE, str(error)))
                continue
            changes.append(change)
            keys.append(key)
            values.append(write_value(change, key, old, new))
        if not changes:
            return EncodedBatch(batch, rejects=rejects)
        schemas = self._registered(batch.stream)
        return EncodedBatch(batch, Encoding(changes, keys, values, schemas.key, schemas.value), rejects)

    def _value_writer(self, batch: Batch) -> WriteValue:
        if self._envelope == "flat":
            return envelope.flat_writer(batch)
        return envelope.debezium_writer(batch, pipeline=self._pipeline, release=self._release)

    def _registered(self, stream: Stream) -> _Schemas:
        table, key = stream.table, stream.key
        schemas = self._schemas.get((table, key))
        if schemas is None:
            register = self._registry.register
            of = {"account": stream.account, "region": stream.region}
            schemas = _Schemas(
                register(
                    self._subjects.key(table, envelope.key_record(table), **of),
                    envelope.key_schema(table, key),
                ),
                register(
                    self._subjects.value(table, envelope.value_record(table, self._envelope), **of),
                    envelope.value_schema(table, key, self._envelope),
                ),
            )
            self._schemas[table, key] = schemas
        return schemas


def _check_time(change: Change) -> None:
    if not 0 <= change.created < _YEAR_10000:
        raise InvalidValueError("its creation time lies outside the years 1970 to 9999")


def _image(text: msgspec.Raw, *, required: bool = False) -> bytes | None:
    """The image, checked; None where there is none. KCL's adapter gives `{}` for none: no item is without its key."""
    if text and parse_item(text):
        return bytes(text)
    if required:
        raise InvalidValueError("no new image, although the stream's view type promises one")
    return None


def _key_writer(key: tuple[KeyAttribute, ...]) -> Callable[[msgspec.Raw], bytes]:
    """Writes a record's `Keys` as the fields of the key record, in the order of the key schema."""
    writers = [(name, kind, _KEY_TYPES[kind]) for name, kind in key]

    def write(raw: msgspec.Raw) -> bytes:
        if not raw:
            raise InvalidValueError("the record has no keys")
        try:
            keys = _key_decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise InvalidValueError("the keys are no key attributes in DynamoDB JSON") from None
        if len(keys) != len(writers):
            raise InvalidValueError("the keys do not match the table's key schema")
        data = b""
        for name, kind, write_text in writers:
            value = keys.get(name)
            if value is None or len(value) != 1 or kind not in value:
                raise InvalidValueError("the keys do not match the table's key schema")
            data += write_text(value[kind])
        return data

    return write


def _write_number(text: str) -> bytes:
    return avro.string(canonical_number(text))


def _write_binary(text: str) -> bytes:
    try:
        return avro.binary(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise InvalidValueError("a binary key attribute is not base64") from None


_KEY_TYPES: dict[str, Callable[[str], bytes]] = {"S": avro.string, "N": _write_number, "B": _write_binary}
