"""All that a pipeline has saved, as one document: what `cdc positions show --json` prints and `export` writes.

Its shape is versioned, and `schemas/positions.schema.json` is made from these classes (`schema`). A checksum over the
content tells a file that was cut off, changed or damaged on its way: one wrong digit of a sequence number would pass over
changes.
"""

import hashlib
import json
import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from cdc.errors import ConfigError
from cdc.model import Place, Position, ShardKey
from cdc.ports import Saved, SavedCursor, SavedGap, SavedStart

VERSION: Literal[1] = 1
"""Within a version keys are added, and none changes its meaning or goes: a file that lacks some is read."""

_Seconds = Annotated[float, Meta(description="Epoch seconds")]
_NATURAL = Meta(ge=0)
_EXPORT_AGAIN = "export it again, or take another copy"


class PositionRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sink on one shard: everything up to here is durable at the sink."""

    sink: str
    table: str
    stream: Annotated[str, Meta(description="The stream's ARN")]
    shard: str
    place: Literal["beginning", "after", "end"]
    sequence: Annotated[
        Annotated[str, Meta(pattern="^[0-9]{1,40}$")] | None,
        Meta(description="Of the last durable record; null if there was none"),
    ]
    not_before: Annotated[
        float | None, Meta(description="At the beginning only: older records are passed over (epoch seconds)")
    ]
    epoch: Annotated[int, _NATURAL, Meta(description="Counts the resets of this sink")]
    saved_at: _Seconds
    through: Annotated[
        float | None,
        Meta(
            description="Every change before this time is durable, as far as this shard goes (epoch seconds)"
        ),
    ]
    kept_by_sink: Annotated[bool, Meta(description="The sink keeps this position too")]
    last_created: Annotated[
        float | None, Meta(description="Time of the last durable record (epoch seconds); null: not known")
    ] = None


class StartRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a sink began on a stream."""

    sink: str
    table: str
    stream: str
    start: str
    started_at: _Seconds
    table_id: Annotated[
        str,
        Meta(
            description="The service's id of the table; empty: not known. Another table of the name has another"
        ),
    ] = ""


class GapRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes that expired before the sink had them, or may have; kept for ever. Without a stream: a sum of those on shards
    that are gone."""

    sink: str
    table: str
    stream: str
    shard: str
    found_at: _Seconds
    reason: str
    decision: Annotated[str | None, Meta(description="null: it waits for one")]
    kind: Annotated[str, Meta(description="Empty: of a version that did not tell them apart")] = ""
    certain: Annotated[bool, Meta(description="Changes are known to be lost; else nobody can know")] = False
    after: Annotated[str, Meta(description="The last change that the sink had; empty: it had none")] = ""
    decided_at: Annotated[float | None, Meta(description="Epoch seconds")] = None
    count: Annotated[int, Meta(ge=1, description="How many there have been")] = 1
    last_found_at: Annotated[
        float | None, Meta(description="Epoch seconds: the newest of several; null: there was one")
    ] = None


class Positions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[Literal[1], Meta(description="The version of this shape")]
    pipeline: str
    exported_at: _Seconds
    positions: list[PositionRow]
    starts: list[StartRow]
    gaps: list[GapRow]
    settings: Annotated[
        dict[str, str],
        Meta(description="What the pipeline began with and keeps; what tells its state from others"),
    ]
    epochs: Annotated[
        dict[str, Annotated[int, _NATURAL]],
        Meta(description="The number of resets of each sink that had one"),
    ]
    checksum: Annotated[
        str,
        Meta(
            pattern="^sha256:[0-9a-f]{64}$",
            description="Of the other keys, as JSON in ASCII with sorted keys and without blanks",
        ),
    ]


def to_dict(pipeline: str, saved: Saved, *, at: float) -> dict[str, Any]:
    """For `json.dumps` and its like.

    Args:
        pipeline: whose positions these are.
        saved: all of them.
        at: epoch seconds, now.
    """
    document = msgspec.to_builtins(
        Positions(
            version=VERSION,
            pipeline=pipeline,
            exported_at=at,
            positions=[_position(cursor) for cursor in saved.cursors],
            starts=[
                StartRow(
                    sink=s.sink,
                    table=s.table,
                    stream=s.stream,
                    start=s.start,
                    started_at=s.started_at,
                    table_id=s.table_id,
                )
                for s in saved.starts
            ],
            gaps=[
                GapRow(
                    sink=gap.sink,
                    table=gap.table,
                    stream=gap.shard.stream,
                    shard=gap.shard.shard,
                    found_at=gap.found_at,
                    reason=gap.reason,
                    decision=gap.decision or None,
                    kind=gap.kind,
                    certain=gap.certain,
                    after=gap.after,
                    decided_at=gap.decided_at,
                    count=gap.count,
                    last_found_at=gap.last_found_at,
                )
                for gap in saved.gaps
            ],
            settings=dict(saved.settings or {}),
            epochs=dict(saved.epochs or {}),
            checksum="",
        )
    )
    return {**document, "checksum": _checksum(document)}


def from_bytes(content: bytes, *, path: str) -> tuple[Positions, Saved]:
    """The content of an exported file.

    Raises:
        ConfigError: it is none, a newer version wrote it, or it is not as it was written.
    """
    try:
        document = json.loads(content, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigError(f"{path}{where}: no JSON, or cut off", remedy=_EXPORT_AGAIN) from None
    if not isinstance(document, dict) or not isinstance(document.get("version"), int):
        raise ConfigError(f"{path}: no exported positions", remedy="a file that `cdc positions export` wrote")
    if document["version"] > VERSION:
        raise ConfigError(
            f"{path}: version {document['version']}, written by a newer version; this one reads up to {VERSION}",
            remedy="import it with the newer version",
        )
    try:
        found = msgspec.convert(document, Positions)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}", remedy=_EXPORT_AGAIN) from None
    if found.checksum != _checksum(document):
        raise ConfigError(f"{path}: damaged, or changed since it was exported", remedy=_EXPORT_AGAIN)
    return found, _saved(found)


def schema() -> dict[str, Any]:
    """The JSON Schema of exported positions."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The saved positions of a pipeline",
        **msgspec.json.schema(Positions),
    }


def _position(cursor: SavedCursor) -> PositionRow:
    position = cursor.position
    return PositionRow(
        sink=cursor.sink,
        table=cursor.table,
        stream=cursor.shard.stream,
        shard=cursor.shard.shard,
        place=_PLACES[position.place],
        sequence=position.sequence or None,
        not_before=position.not_before,
        epoch=position.epoch,
        saved_at=cursor.saved_at,
        through=cursor.through,
        kept_by_sink=cursor.kept_by_sink,
        last_created=cursor.last_created,
    )


_PLACES: dict[Place, Literal["beginning", "after", "end"]] = {
    Place.BEGINNING: "beginning",
    Place.AFTER: "after",
    Place.END: "end",
}


def _saved(found: Positions) -> Saved:
    return Saved(
        tuple(
            SavedCursor(
                row.sink,
                ShardKey(row.stream, row.shard),
                Position(Place[row.place.upper()], row.sequence or "", row.not_before, row.epoch),
                row.table,
                row.kept_by_sink,
                row.saved_at,
                row.through,
                row.last_created,
            )
            for row in found.positions
        ),
        tuple(
            SavedStart(row.sink, row.stream, row.table, row.start, row.started_at, row.table_id)
            for row in found.starts
        ),
        tuple(
            SavedGap(
                row.sink,
                ShardKey(row.stream, row.shard),
                row.table,
                row.found_at,
                row.reason,
                row.decision or "",
                row.kind,
                row.certain,
                row.after,
                row.decided_at,
                row.count,
                row.last_found_at,
            )
            for row in found.gaps
        ),
        settings=found.settings or None,
        epochs=found.epochs or None,
    )


def _checksum(document: dict[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != "checksum"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that is too large")
    return number
