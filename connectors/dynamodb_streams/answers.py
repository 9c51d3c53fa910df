"""The answers' bodies, parsed once and checked. A reason that is raised tells the place in the body, never a value."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal, TypeVar

import msgspec

from cdc.errors import ErrorKind, SourceError
from cdc.model import Answer, Change, KeyAttribute, Page, ViewType
from connectors.dynamodb_streams import surrogates

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_VALUE_FREE = re.compile(
    r"(Object missing required field `\w+`|Expected `[^`]+`, got `[^`]+`)( - at `[^`]+`)?"
)
"""The messages of msgspec's validation that hold no value; that of an enumeration holds it."""

T = TypeVar("T")


class _KeyElement(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    attribute_name: str
    key_type: Literal["HASH", "RANGE"]


class _AttributeDefinition(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    attribute_name: str
    attribute_type: Literal["S", "N", "B"]


class _StreamSpecification(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    stream_enabled: bool = False
    stream_view_type: ViewType | None = None


class Table(msgspec.Struct, frozen=True, rename="pascal"):
    """API reference, TableDescription: what of it is read here."""

    table_name: str
    key_schema: list[_KeyElement]
    attribute_definitions: list[_AttributeDefinition]
    table_id: str = ""
    creation_date_time: float | None = None
    """Epoch seconds."""
    stream_specification: _StreamSpecification | None = None
    """Absent once the stream is disabled, while `latest_stream_arn` stays."""
    latest_stream_arn: str | None = None
    latest_stream_label: str | None = None

    def identity(self) -> str:
        """What tells a table from another one of the same name; emulators without ids have creation times."""
        if self.table_id or self.creation_date_time is None:
            return self.table_id
        return f"created-{round(self.creation_date_time * 1000)}"

    def key(self) -> tuple[KeyAttribute, ...] | None:
        """The partition key, then the sort key; None if an attribute has no definition."""
        types = {one.attribute_name: one.attribute_type for one in self.attribute_definitions}
        elements = sorted(self.key_schema, key=lambda element: element.key_type)  # HASH < RANGE
        if any(element.attribute_name not in types for element in elements):
            return None
        return tuple(
            KeyAttribute(element.attribute_name, types[element.attribute_name]) for element in elements
        )


class _SequenceNumberRange(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    starting_sequence_number: str = ""
    ending_sequence_number: str | None = None


class ListedShard(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    shard_id: str
    parent_shard_id: str | None = None
    sequence_number_range: _SequenceNumberRange = _SequenceNumberRange()


class StreamDescription(msgspec.Struct, frozen=True, rename="pascal"):
    """API reference, StreamDescription; one page of its shards."""

    shards: list[ListedShard]
    stream_status: str = ""
    creation_request_date_time: float | None = None
    """Epoch seconds."""
    last_evaluated_shard_id: str | None = None


class _DescribeTable(msgspec.Struct, frozen=True, rename="pascal"):
    table: Table


class _DescribeStream(msgspec.Struct, frozen=True, rename="pascal"):
    stream_description: StreamDescription


class _GetShardIterator(msgspec.Struct, frozen=True, rename="pascal"):
    shard_iterator: str


_ANSWER = msgspec.json.Decoder(Answer)
_TABLE = msgspec.json.Decoder(_DescribeTable)
_STREAM = msgspec.json.Decoder(_DescribeStream)
_ITERATOR = msgspec.json.Decoder(_GetShardIterator)


def table(body: bytes) -> Table:
    return _decode(_TABLE, body).table


def stream(body: bytes) -> StreamDescription:
    return _decode(_STREAM, body).stream_description


def iterator(body: bytes) -> str:
    return _decode(_ITERATOR, body).shard_iterator


def page(body: bytes) -> Page:
    """
    Raises:
        SourceError: `MALFORMED`, also for records out of order: a position is the last record that is done with, so
            one that comes after it with a lower number would be passed over.
    """
    try:
        answer = _decode(_ANSWER, body)
    except SourceError:
        understood = _with_halves(body)
        if understood is None:
            raise
        answer = understood
    _check_order(answer.records)
    return Page(body, answer.records, answer.next_shard_iterator)


def _with_halves(body: bytes) -> Answer | None:
    try:
        return surrogates.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def created_ms(label: str) -> int | None:
    """The creation time that a stream's label tells: ISO 8601, UTC (API reference, StreamLabel); None: it tells none."""
    try:
        created = datetime.fromisoformat(label)
    except ValueError:
        return None
    if created.tzinfo is None:
        created = created.replace(tzinfo=UTC)
    return (created - _EPOCH) // _MILLISECOND


def malformed(reason: str) -> SourceError:
    return SourceError(ErrorKind.MALFORMED, f"the answer cannot be used: {reason}")


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise malformed(_value_free(str(error))) from None
    except msgspec.DecodeError as error:  # a fixed text and a byte's number
        raise malformed(str(error)) from None
    except UnicodeDecodeError as error:
        raise malformed(f"no UTF-8 at byte {error.start}") from None


def _value_free(text: str) -> str:
    if _VALUE_FREE.fullmatch(text):
        return text
    place = re.search(r" - at `[^`]+`$", text)
    return "unexpected value" + (place.group() if place else "")


def _check_order(records: Sequence[Change]) -> None:
    """Equal numbers pass: nothing that comes after a position has its number or a lower one."""
    texts = [record.dynamodb.sequence_number for record in records]
    if not texts:
        return
    joined = "".join(texts)
    if not (joined.isascii() and joined.isdigit() and all(texts)):
        raise malformed("a SequenceNumber is no decimal number")
    numbers = list(map(int, texts))
    if numbers != sorted(numbers):
        at = next(i for i, (one, other) in enumerate(pairwise(numbers), start=1) if other < one)
        raise malformed(f"records are not in the order of their sequence numbers - at `$.Records[{at}]`")
