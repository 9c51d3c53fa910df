"""Was every change delivered, as it was made, in order? Compares what was written with what readers find."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cdc.demo.values import Item, Key


class Written(NamedTuple):
    """One change of the source, which the stream has under this sequence number."""

    sequence: int
    key: Key
    op: str
    """`c`, `u` or `d`."""
    before: Item | None
    after: Item | None


class Delivered(NamedTuple):
    """One message or row, as a reader of the sink finds it."""

    change: Written
    """As it was found."""
    place: str
    """Where, for people."""
    tells_before: bool = True
    """Whether the sink keeps what was there before a change."""


class Tombstone(NamedTuple):
    key: Key
    place: str


class Unreadable(NamedTuple):
    place: str
    reason: str


Found = Delivered | Tombstone | Unreadable


@dataclass(slots=True)
class Verdict:
    """What the proof says of one sink."""

    sink: str
    written: int
    delivered: int = 0
    """Different ones."""
    redelivered: int | None = 0
    """None: this sink keeps no trace of it."""
    lost: int = 0
    mismatched: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return self.delivered == self.written and not self.lost and not self.mismatched

    def mismatch(self, finding: str) -> None:
        self.mismatched += 1
        self.findings.append(finding)

    def lose(self, finding: str) -> None:
        self.lost += 1
        self.findings.append(finding)


def folded(written: Iterable[Written]) -> dict[Key, Item]:
    """The items that are there after these changes."""
    items: dict[Key, Item] = {}
    for change in written:
        if change.after is None:
            items.pop(change.key, None)
        else:
            items[change.key] = change.after
    return items


def compare_log(
    sink: str, written: Sequence[Written], lanes: Sequence[Sequence[Found]], items: Mapping[Key, Item]
) -> Verdict:
    """A topic: each lane is a partition, in which an item's changes stand in order.

    After a crash a run of changes may come again. It begins at some earlier change and leaves none out from there on,
    so that whoever takes the last word on each key is right in the end.

    Args:
        items: of the source; the messages folded by key have to give the same.
    """
    verdict = Verdict(sink, len(written))
    seen, faulty = _look_up(verdict, written, lanes)
    ranks = _ranks(change for change in written if change.sequence in seen)
    at: dict[Key, int] = {}
    state: dict[Key, Item | None] = {}
    for found in (found for lane in lanes for found in lane):
        if isinstance(found, Tombstone):
            if state.pop(found.key, None) is not None:
                verdict.mismatch(f"{found.place}: {_name(found.key)}: a tombstone without a delete")
                faulty.add(found.key)
        elif isinstance(found, Delivered) and found.change.sequence in ranks:
            change, rank = found.change, ranks[found.change.sequence]
            if rank > at.get(change.key, -1) + 1:
                verdict.mismatch(f"{found.place}: {_name(change.key)}: before an earlier change of this item")
                faulty.add(change.key)
            at[change.key] = rank
            state[change.key] = change.after
    for key in sorted((items.keys() | state.keys()) - faulty):
        if items.get(key) != state.get(key):
            verdict.mismatch(f"{_name(key)}: the topic, folded, says something else than the source")
        elif key in state and key not in items:
            verdict.mismatch(f"{_name(key)}: deleted, and no tombstone is behind the delete")
    return verdict


def compare_files(sink: str, written: Sequence[Written], files: Sequence[Sequence[Found]]) -> Verdict:
    """A lake: files have no order among themselves, the rows' versions give it; within a file no change of an item
    stands behind a later one of it."""
    verdict = Verdict(sink, len(written))
    seen, _ = _look_up(verdict, written, files)
    for file in files:
        last: dict[Key, int] = {}
        for found in file:
            if isinstance(found, Delivered) and found.change.sequence in seen:
                change = found.change
                if change.sequence <= last.get(change.key, -1):
                    verdict.mismatch(
                        f"{found.place}: {_name(change.key)}: behind a later change of this item"
                    )
                last[change.key] = change.sequence
    return verdict


def compare_items(
    sink: str,
    written: Sequence[Written],
    items: Mapping[Key, Item],
    replica: Mapping[Key, tuple[int, Item]],
) -> Verdict:
    """A replica, which has states and no history.

    Args:
        items: of the source.
        replica: each item with the sequence number in its version.
    """
    verdict = Verdict(sink, len(items), redelivered=None)
    newest = {change.key: change.sequence for change in written}
    for key, expected in items.items():
        if key not in replica:
            verdict.lose(f"{_name(key)} is not there")
            continue
        verdict.delivered += 1
        sequence, found = replica[key]
        if found != expected:
            verdict.mismatch(f"{_name(key)}: {_difference(expected, found)} is not what the source has")
        elif sequence != newest[key]:
            verdict.mismatch(f"{_name(key)}: its version is of another change than its content")
    for key in sorted(replica.keys() - items.keys()):
        verdict.mismatch(f"{_name(key)} is there, and not at the source")
    return verdict


def _look_up(
    verdict: Verdict, written: Sequence[Written], lanes: Sequence[Sequence[Found]]
) -> tuple[Collection[int], set[Key]]:
    """Looks each change that was found up among those that were written; order is another matter.

    Returns:
        The sequence numbers that are there, and the keys of which something had to be said.
    """
    expected = {change.sequence: change for change in written}
    seen: Counter[int] = Counter()
    faulty: set[Key] = set()
    for found in (found for lane in lanes for found in lane):
        if isinstance(found, Unreadable):
            verdict.mismatch(f"{found.place}: {found.reason}")
        elif isinstance(found, Delivered):
            change = expected.get(found.change.sequence)
            if change is None:
                verdict.mismatch(f"{found.place}: {_name(found.change.key)}: a change that was never made")
                faulty.add(found.change.key)
                continue
            seen[change.sequence] += 1
            if wrong := _wrong(change, found):
                verdict.mismatch(f"{found.place}: {_name(change.key)}: {wrong}")
                faulty |= {change.key, found.change.key}
    for sequence in sorted(expected.keys() - seen.keys()):
        change = expected[sequence]
        verdict.lose(f"{_name(change.key)}: the change {change.op} {sequence} is not there")
        faulty.add(change.key)
    verdict.delivered = len(seen)
    verdict.redelivered = seen.total() - len(seen)
    return seen, faulty


def _ranks(changes: Iterable[Written]) -> dict[int, int]:
    """Sequence number to place among the changes of its item: 0, 1, ..."""
    counts: Counter[Key] = Counter()
    ranks = {}
    for change in sorted(changes, key=lambda change: change.sequence):
        ranks[change.sequence] = counts[change.key]
        counts[change.key] += 1
    return ranks


def _wrong(expected: Written, found: Delivered) -> str:
    """What differs; empty: nothing."""
    change = found.change
    if change.key != expected.key:
        return "it has another key than the change that was made"
    if change.op != expected.op:
        return f"operation {change.op}, made was {expected.op}"
    if found.tells_before and change.before != expected.before:
        return f"{_difference(expected.before, change.before)} before the change is not what it was"
    if change.after != expected.after:
        return f"{_difference(expected.after, change.after)} after the change is not what was written"
    return ""


def _difference(expected: Item | None, found: Item | None) -> str:
    """Names of attributes, no values: they are long."""
    if expected is None or found is None:
        return "the item"
    names = expected.keys() | found.keys()
    return ", ".join(sorted(name for name in names if expected.get(name) != found.get(name)))


def _name(key: Key) -> str:
    return f"order {key.order} of {key.customer}"
