"""What a pipeline has saved, cut into pages: a page is one item of the table, and holds many rows.

Rows that change together stand together, so that a save rewrites few pages: cursors of open shards on pages of their own
(`o0`, `o1` ...), those of ended shards, which never change again, on others (`e0` ...), and the rest on `r0` ...
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import msgspec

from cdc.model import Place, Position, ShardKey
from cdc.ports import Saved, SavedCursor, SavedGap, SavedStart, StateChange

T = TypeVar("T")

ROWS_PER_PAGE = 128
"""Of cursors, about 6 KB as they are stored; of the longest names and reasons that there can be, still below the 400 KB
of an item (Developer Guide, Service quotas)."""

Slot = Literal["a", "b"]
"""Each page has two items, which take turns: the one that counts is never written."""
_OTHER: Mapping[Slot, Slot] = {"a": "b", "b": "a"}


class Setting(NamedTuple):
    name: str
    value: str


class ResetEpoch(NamedTuple):
    sink: str
    epoch: int


Row = SavedCursor | SavedStart | SavedGap | Setting | ResetEpoch
Key = tuple[str | float, ...]
Rows = Mapping[Key, Row]


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it counts now."""

    slot: Slot
    save: int
    """The number of the save that wrote it."""
    rows: Rows


class Pages:
    """All pages of a pipeline."""

    def __init__(self, pages: Mapping[str, Page] | None = None) -> None:
        self._pages = dict(pages or {})
        self._page_of = {key: name for name, page in self._pages.items() for key in page.rows}

    @property
    def table(self) -> Mapping[str, int]:
        """Which save wrote the page that counts, by page."""
        return {name: page.save for name, page in self._pages.items()}

    def saved(self) -> Saved:
        rows = [row for page in self._pages.values() for row in page.rows.values()]
        return Saved(
            tuple(row for row in rows if isinstance(row, SavedCursor)),
            tuple(row for row in rows if isinstance(row, SavedStart)),
            tuple(row for row in rows if isinstance(row, SavedGap)),
            settings={row.name: row.value for row in rows if isinstance(row, Setting)} or None,
            epochs={row.sink: row.epoch for row in rows if isinstance(row, ResetEpoch)} or None,
        )

    def free_slot(self, name: str) -> Slot:
        """The item of this page that does not count now."""
        return _OTHER[self._pages[name].slot] if name in self._pages else "a"

    def changed(self, change: StateChange) -> Mapping[str, Rows]:
        """The pages that this change makes different, whole; nothing here changes yet."""
        draft = _Draft(self._pages, self._page_of)
        if change.replace_all:
            for key in list(self._page_of):
                draft.remove(key)
        for sink, shard in change.forget:
            draft.remove(("cursor", sink, *shard))
        for sink, shard, found_at in change.forget_gaps:
            draft.remove(("gap", sink, *shard, found_at))
        for row in _rows_of(change):
            draft.put(row)
        return draft.pages

    def turn(self, changed: Mapping[str, Rows], save: int) -> None:
        """These pages count from now on, as this save wrote them to their free slots."""
        for name, rows in changed.items():
            before = self._pages[name].rows if name in self._pages else {}
            for key in before:
                if self._page_of.get(key) == name:
                    del self._page_of[key]
            self._pages[name] = Page(self.free_slot(name), save, rows)
        self._page_of |= {key: name for name, rows in changed.items() for key in rows}


class _Draft:
    """Pages as a change would have them."""

    def __init__(self, pages: Mapping[str, Page], page_of: Mapping[Key, str]) -> None:
        self.pages: dict[str, dict[Key, Row]] = {}
        self._before = pages
        self._page_of = page_of
        self._moved: dict[Key, str | None] = {}
        self._filling: dict[str, str] = {}

    def remove(self, key: Key) -> None:
        name = self._find(key)
        if name is not None:
            del self._writable(name)[key]
            self._moved[key] = None

    def put(self, row: Row) -> None:
        key, kind = key_of(row), _kind(row)
        name = self._find(key)
        if name is not None and name.startswith(kind):
            if self._rows(name)[key] != row:
                self._writable(name)[key] = row
            return
        self.remove(key)
        name = self._with_room(kind)
        self._writable(name)[key] = row
        self._moved[key] = name

    def _find(self, key: Key) -> str | None:
        return self._moved[key] if key in self._moved else self._page_of.get(key)

    def _rows(self, name: str) -> Rows:
        if name in self.pages:
            return self.pages[name]
        return self._before[name].rows if name in self._before else {}

    def _writable(self, name: str) -> dict[Key, Row]:
        return self.pages.setdefault(name, dict(self._rows(name)))

    def _with_room(self, kind: str) -> str:
        name = self._filling.get(kind)
        if name is None or len(self._rows(name)) >= ROWS_PER_PAGE:
            name = self._filling[kind] = next(self._roomy(kind))
        return name

    def _roomy(self, kind: str) -> Iterator[str]:
        number = 0
        while True:
            name = f"{kind}{number}"
            if len(self._rows(name)) < ROWS_PER_PAGE:
                yield name
            number += 1


def key_of(row: Row) -> Key:
    match row:
        case SavedCursor():
            return ("cursor", row.sink, *row.shard)
        case SavedStart():
            return ("start", row.sink, row.stream)
        case SavedGap():  # one shard can have several: each time that the sink was away for too long
            return ("gap", row.sink, *row.shard, row.found_at)
        case Setting():
            return ("setting", row.name)
        case ResetEpoch():
            return ("epoch", row.sink)


def _kind(row: Row) -> str:
    if not isinstance(row, SavedCursor):
        return "r"
    return "e" if row.position.place is Place.END else "o"


def _rows_of(change: StateChange) -> Iterator[Row]:
    yield from change.cursors
    yield from change.starts
    yield from change.gaps
    for name, value in (change.settings or {}).items():
        yield Setting(name, value)
    for sink, epoch in (change.epochs or {}).items():
        yield ResetEpoch(sink, epoch)


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    sink: str
    stream: str
    shard: str
    place: int
    sequence: str
    not_before: float | None
    epoch: int
    table: str
    kept_by_sink: bool
    saved_at: float
    through: float | None
    last_created: float | None = None


class _Start(msgspec.Struct, array_like=True, frozen=True):
    sink: str
    stream: str
    table: str
    start: str
    started_at: float
    table_id: str = ""


class _Gap(msgspec.Struct, array_like=True, frozen=True):
    sink: str
    stream: str
    shard: str
    table: str
    found_at: float
    reason: str
    decision: str
    kind: str = ""
    certain: bool = False
    after: str = ""
    decided_at: float | None = None
    count: int = 1
    last_found_at: float | None = None


class _Content(msgspec.Struct, omit_defaults=True):
    """A page, as JSON. Fields are only added: what an older version wrote lacks them."""

    cursors: list[_Cursor] = []
    starts: list[_Start] = []
    gaps: list[_Gap] = []
    settings: dict[str, str] = {}
    epochs: dict[str, int] = {}


def encode(rows: Iterable[Row]) -> bytes:
    """A page's rows: JSON under gzip, the same bytes for the same rows."""
    content = _Content()
    for row in rows:
        match row:
            case SavedCursor():
                content.cursors.append(
                    _Cursor(
                        row.sink,
                        *row.shard,
                        int(row.position.place),
                        row.position.sequence,
                        row.position.not_before,
                        row.position.epoch,
                        row.table,
                        row.kept_by_sink,
                        row.saved_at,
                        row.through,
                        row.last_created,
                    )
                )
            case SavedStart():
                content.starts.append(
                    _Start(row.sink, row.stream, row.table, row.start, row.started_at, row.table_id)
                )
            case SavedGap():
                content.gaps.append(
                    _Gap(
                        row.sink,
                        *row.shard,
                        row.table,
                        row.found_at,
                        row.reason,
                        row.decision,
                        row.kind,
                        row.certain,
                        row.after,
                        row.decided_at,
                        row.count,
                        row.last_found_at,
                    )
                )
            case Setting():
                content.settings[row.name] = row.value
            case ResetEpoch():
                content.epochs[row.sink] = row.epoch
    return packed(content)


def decode(content: bytes) -> Rows:
    """
    Raises:
        ValueError: it is no page.
    """
    page = unpacked(content, _Content)
    rows: list[Row] = [
        SavedCursor(
            found.sink,
            ShardKey(found.stream, found.shard),
            Position(Place(found.place), found.sequence, found.not_before, found.epoch),
            found.table,
            found.kept_by_sink,
            found.saved_at,
            found.through,
            found.last_created,
        )
        for found in page.cursors
    ]
    rows += [SavedStart(s.sink, s.stream, s.table, s.start, s.started_at, s.table_id) for s in page.starts]
    rows += [
        SavedGap(
            g.sink,
            ShardKey(g.stream, g.shard),
            g.table,
            g.found_at,
            g.reason,
            g.decision,
            g.kind,
            g.certain,
            g.after,
            g.decided_at,
            g.count,
            g.last_found_at,
        )
        for g in page.gaps
    ]
    rows += [Setting(name, value) for name, value in page.settings.items()]
    rows += [ResetEpoch(sink, epoch) for sink, epoch in page.epochs.items()]
    return {key_of(row): row for row in rows}


def packed(value: object) -> bytes:
    return gzip.compress(msgspec.json.encode(value), mtime=0)


def unpacked(content: bytes, kind: type[T]) -> T:
    """
    Raises:
        ValueError: it is no such thing.
    """
    try:
        return msgspec.json.decode(gzip.decompress(content), type=kind)
    except (OSError, EOFError, zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not what a state holds: {error}") from error
