"""What a process was told and what it asked for, line by line; and of that what concerns one violation."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cdc.core import messages as m
from cdc.model import Change, Listing, Position, ShardKey
from tests.sim.engine.destination import Violation
from tests.sim.engine.truth import Truth

_MOST_CHANGES = 12


@dataclass(frozen=True, slots=True)
class Line:
    at: float
    """Monotonic."""
    process: int
    """Its number; 0: the world outside."""
    message: m.Event | m.Command | str


def relevant(lines: Sequence[Line], violation: Violation, truth: Truth) -> list[Line]:
    """Without what happens to other sinks, on shards of other lineages, and over and over again."""
    family: set[ShardKey] = set()
    if violation.shard is not None and violation.shard in truth.shards:
        family = {*truth.lineage(violation.shard), *truth.descendants(violation.shard)}
    return list(_news(line for line in lines if _concerns(line.message, violation, family)))


def _news(lines: Iterable[Line]) -> Iterator[Line]:
    """Without pages that are empty, and without listings that say what the one before said."""
    listed: dict[ShardKey | None, Listing] = {}
    saved: dict[tuple[str, ShardKey], Position] = {}
    for line in lines:
        match line.message:
            case m.Save(change):
                positions = {(cursor.sink, cursor.shard): cursor.position for cursor in change.cursors}
                if positions and positions.items() <= saved.items() and not change.gaps:
                    continue
                saved |= positions
            case m.CursorsSaved():
                continue
            case m.PageRead(_, page) if not page.changes and page.next_iterator is not None:
                continue
            case m.ShardsListed(_, parent, listing):
                if listed.get(parent) == listing:
                    continue
                listed[parent] = listing
            case m.Read() | m.ListShards() | m.ResolveStreams() | m.StreamsResolved():
                continue  # its answer says it
            case _:
                pass
        yield line


def _concerns(message: m.Event | m.Command | str, violation: Violation, family: set[ShardKey]) -> bool:
    if isinstance(message, str):
        return True
    if isinstance(message, m.Tick):
        return False
    sink = getattr(message, "sink", "")
    if violation.sink and sink and sink != violation.sink:
        return False
    if isinstance(message, m.Notice):
        shard = message.fields.get("shard", "")
        names = {key.shard for key in family}
        return message.fields.get("sink", violation.sink) == violation.sink and (not shard or shard in names)
    shards = _shards(message)
    return not family or shards is None or bool(shards & family)


def _shards(message: m.Event | m.Command) -> set[ShardKey] | None:  # noqa: PLR0911 - one for each kind
    """Those that it is about; None: it is about none."""
    match message:
        case m.OpenIterator() | m.Read() | m.IteratorOpened() | m.PageRead() | m.ReadFailed():
            return {message.reader.shard}
        case m.Write():
            return {message.batch.shard}
        case m.Claim() | m.Claimed() | m.ClaimFailed():
            return set(message.shards)
        case m.WriteLetters() | m.LettersWritten() | m.LettersFailed():
            return {message.shard}
        case m.Accepted() | m.Durable() | m.WriteFailed():
            return {message.shard}
        case m.Save() | m.CursorsSaved() | m.SaveFailed():
            change = message.change
            return {cursor.shard for cursor in change.cursors} | {shard for _, shard in change.forget}
        case _:
            return None


_NONE = Violation("none", "")


def told(lines: Sequence[Line], violation: Violation = _NONE) -> Iterator[str]:
    """Line by line: the time, the process, what it was told (<) or asks for (>)."""
    for line in lines:
        message = line.message
        if isinstance(message, str):
            yield f"{line.at:10.3f}      {message}"
        else:
            sign = "<" if isinstance(message, m.Event) else ">"
            yield f"{line.at:10.3f} {line.process:3d} {sign} {_text(message, violation)}"


def _text(message: m.Event | m.Command, violation: Violation) -> str:  # noqa: C901, PLR0911, PLR0912 - as above
    name = type(message).__name__
    match message:
        case m.OpenIterator(reader, position, latest):
            return f"{name} {_reader(reader)} {_place(position)}{' latest' if latest else ''}"
        case m.Read(reader) | m.IteratorOpened(reader):
            return f"{name} {_reader(reader)}"
        case m.PageRead(reader, page):
            end = "" if page.next_iterator is not None else " END"
            return f"{name} {_reader(reader)} {_changes(page.changes, violation.item)}{end}"
        case m.ReadFailed(reader, error):
            return f"{name} {_reader(reader)} {error.message}"
        case m.Write(sink, number, batch):
            return (
                f"{name} {sink} #{number} {batch.shard.shard[-8:]} {_place(batch.start)} to {_place(batch.end)} "
                f"{_changes(batch.changes, violation.item)}"
            )
        case m.Accepted() | m.Durable() | m.LettersWritten():
            return f"{name} {message.sink} #{message.id}"
        case m.WriteFailed() | m.LettersFailed():
            return f"{name} {message.sink} #{message.id} {message.error.message}"
        case m.WriteLetters(sink, number, _, _, rejects):
            return f"{name} {sink} #{number} {[reject.sequence for reject in rejects]}"
        case m.Claim() | m.ClaimFailed():
            return f"{name} {message.sink} {[shard.shard[-8:] for shard in message.shards]}"
        case m.Claimed(sink, shards, held):
            at = {shard.shard[-8:]: _place(position) for shard, position in (held or {}).items()}
            return f"{name} {sink} {[shard.shard[-8:] for shard in shards]} holds {at}"
        case m.Save() | m.CursorsSaved() | m.SaveFailed():
            of = [
                f"{cursor.shard.shard[-8:]} {_place(cursor.position)}"
                for cursor in message.change.cursors
                if not violation.sink or cursor.sink == violation.sink
            ]
            return f"{name} {of}"
        case m.ShardsListed(_, parent, listing):
            of = [f"{shard.key.shard[-8:]}{' closed' if shard.closed else ''}" for shard in listing.shards]
            return f"{name} {f'of {parent.shard[-8:]} ' if parent else ''}{of}"
        case m.ListShards(_, parent):
            return f"{name} {f'of {parent.shard[-8:]}' if parent else ''}"
        case m.Notice():
            return f"{name} {message.event} {dict(message.fields)}"
        case _:
            return f"{name} {getattr(message, 'sink', '')}".rstrip()


def _reader(reader: m.ReaderKey) -> str:
    return f"{reader.shard.shard[-8:]}/{reader.number}"


def _place(position: Position) -> str:
    return f"{position.place.name.lower()} {position.sequence}".rstrip()


def _changes(changes: Sequence[Change], item: str) -> str:
    """Their numbers; those of the item alone, if there is one."""
    of = [change for change in changes if not item or bytes(change.dynamodb.keys).decode() == item]
    shown = " ".join(change.sequence for change in of[:_MOST_CHANGES])
    more = f" … {len(of) - _MOST_CHANGES} more" if len(of) > _MOST_CHANGES else ""
    others = len(changes) - len(of)
    return f"[{shown}{more}]" + (f" and {others} of other items" if others else "")
