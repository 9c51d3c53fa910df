"""Holds destinations to the journal. Answers with a verdict; whoever asked asserts, and prints what was proved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.integration.pipeline.destinations import VERSION_ATTRIBUTE, Delivered, Deliveries
from tests.integration.pipeline.items import REVISION, Key
from tests.integration.pipeline.journal import Journal, Written
from tests.integration.pipeline.values import Value, differences, item_of

SHOWN = 12
"""Findings of a kind that an assertion shows."""

Items = Mapping[Key, Mapping[str, Value]]


@dataclass
class Verdict:
    """What a destination has of what was written. The lists hold one text for each finding."""

    name: str
    written: int
    delivered: int = 0
    """Different changes that arrived."""
    redelivered: int = 0
    """Arrivals of a change that had arrived before."""
    lost: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    """Arrived, and nobody wrote it."""
    misordered: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)

    @property
    def faultless(self) -> bool:
        return not (self.lost or self.foreign or self.misordered or self.mismatched)

    def __str__(self) -> str:
        return (
            f"{self.name}: written {self.written}, delivered {self.delivered}, redelivered {self.redelivered}, "
            f"lost {len(self.lost)}, foreign {len(self.foreign)}, misordered {len(self.misordered)}, "
            f"mismatched {len(self.mismatched)}"
        )

    def findings(self) -> str:
        kinds = (self.lost, self.foreign, self.misordered, self.mismatched)
        names = ("lost", "foreign", "misordered", "mismatched")
        lines = [
            f"  {name}: {text[:500]}"
            for name, kind in zip(names, kinds, strict=True)
            for text in kind[:SHOWN]
        ]
        return "\n".join([str(self), *lines])


def judge_log(name: str, journal: Journal, deliveries: Deliveries, errors: Sequence[str] = ()) -> Verdict:
    """Every change of every key, in order, as it was written: for destinations that keep all changes.

    `deliveries` in the order of arrival. A change may arrive again; the first arrivals of a key's changes have to come in
    the order in which they were written, and the last arrival has to be the last change, as compaction would keep it.
    """
    verdict = Verdict(name, sum(map(len, journal.values())), mismatched=list(errors))
    for key in deliveries.keys() - journal.keys():
        verdict.foreign.append(f"{key}: {len(deliveries[key])} changes")
    for key, written in journal.items():
        _judge_key(verdict, key, written, deliveries.get(key, ()))
    return verdict


def _judge_key(verdict: Verdict, key: Key, written: Sequence[Written], arrived: Sequence[Delivered]) -> None:
    firsts: dict[str, Delivered] = {}
    for delivered in arrived:
        if firsts.setdefault(delivered.version, delivered) != delivered:
            verdict.mismatched.append(f"{key}: version {delivered.version} came in two forms")
    verdict.delivered += len(firsts)
    verdict.redelivered += len(arrived) - len(firsts)
    in_order = sorted(firsts)
    if list(firsts) != in_order:
        verdict.misordered.append(f"{key}: {len(firsts)} changes did not come in the order of their versions")
    if arrived and arrived[-1].version != in_order[-1]:
        verdict.misordered.append(f"{key}: the last message is not the last change")
    wanted = _identified((one.op, one.revision, one) for one in written)
    found = _identified(
        (one.op, 0 if one.item is None else int(Decimal(one.item[REVISION]["N"])), one)
        for one in (firsts[version] for version in in_order)
    )
    verdict.lost.extend(f"{key}: {what}" for what in wanted if what not in found)
    verdict.foreign.extend(f"{key}: {what}" for what in found if what not in wanted)
    if wanted.keys() == found.keys() and list(wanted) != list(found):
        verdict.misordered.append(f"{key}: versions do not rise with revisions: {list(found)}")
    before: Mapping[str, Value] | None = None
    for what, change in wanted.items():
        after = None if change.item is None else item_of(change.item)
        if what in found:
            _compare(verdict, f"{key}: {what}", change, found[what], before, after)
        before = after


def _identified(changes: Any) -> dict[str, Any]:
    """A key's changes by what tells them apart: a state's revision, a delete's number."""
    named: dict[str, Any] = {}
    deletes = 0
    for op, revision, change in changes:
        deletes += op == "d"
        name = f"delete {deletes}" if op == "d" else f"revision {revision}"
        assert name not in named or not isinstance(change, Written)
        named[f"{name} again" if name in named else name] = change
    return named


def _compare(
    verdict: Verdict,
    place: str,
    change: Written,
    delivered: Delivered,
    before: Mapping[str, Value] | None,
    after: Mapping[str, Value] | None,
) -> None:
    found = []
    if change.op != delivered.op:
        found.append(f"{change.op} came as {delivered.op}")
    found += differences(after, None if delivered.item is None else item_of(delivered.item))
    if delivered.before is not None:
        found += [f"before: {text}" for text in differences(before, item_of(delivered.before))]
    if found:
        verdict.mismatched.append(f"{place}: {'; '.join(found)}")


def folded(deliveries: Deliveries) -> dict[Key, Delivered]:
    """Each key's newest change, if it is not a delete."""
    newest = {key: max(changes, key=lambda change: change.version) for key, changes in deliveries.items()}
    return {key: change for key, change in newest.items() if change.item is not None}


def judge_items(name: str, expected: Items, found: Items) -> Verdict:
    """Item for item, type for type, numbers by value."""
    verdict = Verdict(name, len(expected), delivered=len(found))
    verdict.lost = [str(key) for key in expected.keys() - found.keys()]
    verdict.foreign = [str(key) for key in found.keys() - expected.keys()]
    for key in expected.keys() & found.keys():
        if different := differences(expected[key], found[key]):
            verdict.mismatched.append(f"{key}: {'; '.join(different)}")
    return verdict


def judge_replica(
    name: str, expected: Items, replica: Mapping[Key, Mapping[str, Any]], topic: Deliveries
) -> Verdict:
    """As `judge_items`; each item's version is that of the key's newest change on the topic."""
    without = {
        key: item_of(
            {attribute: value for attribute, value in item.items() if attribute != VERSION_ATTRIBUTE}
        )
        for key, item in replica.items()
    }
    verdict = judge_items(name, expected, without)
    versions = {key: change.version for key, change in folded(topic).items()}
    for key in replica.keys() & versions.keys():
        version = replica[key].get(VERSION_ATTRIBUTE, {}).get("S")
        if version != versions[key]:
            verdict.mismatched.append(f"{key}: version {version}, on the topic {versions[key]}")
    return verdict


def last_states(journal: Journal) -> Items:
    """The items that the source table has to have."""
    return {
        key: item_of(changes[-1].item) for key, changes in journal.items() if changes[-1].item is not None
    }
