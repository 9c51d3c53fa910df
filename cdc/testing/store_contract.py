"""What every `StateStore` does, as test cases to be subclassed (as those of `cdc.testing.sink_contract`):

    class TestSqlite(FormatCases):
        def make_store(self, base: Path, pipeline: str = "pipeline") -> StateStore: ...

`StoreCases` hold for all; `FormatCases` for one whose state another version may have written; `OutageCases` for one that
can be made to fail.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier

from cdc.errors import ErrorKind, StateError
from cdc.model import BEGINNING, Place, Position, after, end_of_shard
from cdc.ports import Lease, Owner, Saved, SavedGap, SavedStart, StateChange, StateStore
from cdc.testing.saved_state import LEASE_SECONDS, NOW, STREAM, contents, cursor, error_of


class StoreCases:
    """Cases for every state store."""

    def make_store(self, base: Path, pipeline: str = "pipeline") -> StateStore:
        """A new store for this pipeline, in the place that belongs to the folder `base`; not opened."""
        raise NotImplementedError

    def this_process(self) -> Owner:
        """An owner that is alive on this host."""
        raise NotImplementedError

    def ended_process(self) -> Owner:
        """An owner on this host whose process has ended."""
        raise NotImplementedError

    def elsewhere(self) -> Owner:
        """An owner on another host, of which nothing can be known but its heartbeat."""
        return replace(self.this_process(), host="elsewhere.invalid", pid=4242)

    @contextmanager
    def opened(self, base: Path, pipeline: str = "pipeline") -> Iterator[StateStore]:
        store = self.make_store(base, pipeline)
        store.open()
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def owned(self, base: Path, pipeline: str = "pipeline") -> Iterator[tuple[StateStore, Lease]]:
        with self.opened(base, pipeline) as store:
            lease = store.acquire(self.this_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            yield store, lease
            store.release(lease)

    def test_a_new_place_is_empty_and_nobodys(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            assert contents(store.load()) == contents(Saved())
            assert store.owner() is None

    def test_names_its_owner(self, tmp_path: Path) -> None:
        owner = replace(self.this_process(), admin="127.0.0.1:8780")
        with self.opened(tmp_path) as store, self.opened(tmp_path) as visitor:
            lease = store.acquire(owner, lease_seconds=LEASE_SECONDS, now=NOW)
            assert lease.owner.pid == owner.pid
            assert visitor.owner() == replace(owner, heartbeat=NOW)
            store.renew(lease, now=NOW + 5, admin="127.0.0.1:9000")
            assert visitor.owner() == replace(owner, heartbeat=NOW + 5, admin="127.0.0.1:9000")
            store.release(lease)
            assert visitor.owner() is None

    def test_refuses_another_while_the_owner_lives_and_names_it(self, tmp_path: Path) -> None:
        owner = self.elsewhere()
        with self.opened(tmp_path) as first, self.opened(tmp_path) as second:
            first.acquire(owner, lease_seconds=LEASE_SECONDS, now=NOW)
            error = error_of(
                lambda: second.acquire(
                    self.this_process(), lease_seconds=LEASE_SECONDS, now=NOW + LEASE_SECONDS - 1
                )
            )
            assert error.kind is ErrorKind.NOT_OWNER
            assert owner.host in error.message
            assert str(owner.pid) in error.message
            assert error.remedy

    def test_refuses_another_on_the_same_host_while_the_owner_lives(self, tmp_path: Path) -> None:
        owner = self.this_process()
        with self.opened(tmp_path) as first, self.opened(tmp_path) as second:
            first.acquire(owner, lease_seconds=LEASE_SECONDS, now=NOW)
            another = replace(owner, pid=owner.pid + 1)
            error = error_of(lambda: second.acquire(another, lease_seconds=LEASE_SECONDS, now=NOW + 1))
            assert error.kind is ErrorKind.NOT_OWNER

    def test_takes_over_at_once_from_a_process_that_ended_here(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as first, self.opened(tmp_path) as second:
            dead = first.acquire(self.ended_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            lease = second.acquire(self.this_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            assert lease.epoch > dead.epoch

    def test_a_recycled_pid_is_not_the_owner(self, tmp_path: Path) -> None:
        recycled = replace(self.this_process(), process_started="1")
        with self.opened(tmp_path) as first, self.opened(tmp_path) as second:
            dead = first.acquire(recycled, lease_seconds=LEASE_SECONDS, now=NOW)
            lease = second.acquire(self.this_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            assert lease.epoch > dead.epoch

    def test_takes_over_when_the_lease_expired(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as first, self.opened(tmp_path) as second:
            stale = first.acquire(self.elsewhere(), lease_seconds=LEASE_SECONDS, now=NOW)
            first.renew(stale, now=NOW + 10)
            another = self.this_process()
            late = NOW + 10 + LEASE_SECONDS
            error_of(lambda: second.acquire(another, lease_seconds=LEASE_SECONDS, now=late - 1))
            lease = second.acquire(another, lease_seconds=LEASE_SECONDS, now=late + 1)
            assert lease.epoch > stale.epoch
            assert error_of(lambda: first.renew(stale, now=late + 2)).kind is ErrorKind.NOT_OWNER

    def test_the_lease_counts_by_what_its_owner_asked_for(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as first, self.opened(tmp_path) as second:
            first.acquire(self.elsewhere(), lease_seconds=600, now=NOW)
            error_of(lambda: second.acquire(self.this_process(), lease_seconds=1, now=NOW + 500))

    def test_a_stale_lease_saves_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as first, self.opened(tmp_path) as second:
            stale = first.acquire(self.ended_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            lease = second.acquire(self.this_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            early = SavedGap("bus", cursor(5).shard, "orders", NOW, "early")
            second.save(lease, StateChange(cursors=[cursor(0)], gaps=[early], settings={"mine": "1"}))
            before = contents(second.load())
            late = StateChange(
                cursors=[cursor(0, after("5")), cursor(1)],
                starts=[SavedStart("bus", STREAM, "orders", "latest", NOW)],
                gaps=[SavedGap("bus", cursor(0).shard, "orders", NOW, "late")],
                forget_gaps=[("bus", cursor(5).shard, NOW)],
                settings={"mine": "2"},
                epochs={"bus": 3},
                forget=[("bus", cursor(0).shard)],
            )
            assert error_of(lambda: first.save(stale, late)).kind is ErrorKind.NOT_OWNER
            assert contents(second.load()) == before

    def test_a_stale_release_releases_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as first, self.opened(tmp_path) as second:
            stale = first.acquire(self.ended_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            lease = second.acquire(self.this_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            with suppress(StateError):
                first.release(stale)
            assert second.owner() == replace(self.this_process(), heartbeat=NOW)
            second.save(lease, StateChange(cursors=[cursor()]))

    def test_a_released_lease_saves_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            lease = store.acquire(self.this_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            store.release(lease)
            error = error_of(lambda: store.save(lease, StateChange(cursors=[cursor()])))
            assert error.kind is ErrorKind.NOT_OWNER
            again = store.acquire(self.this_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            assert again.epoch > lease.epoch

    def test_loads_every_field_as_it_was_saved(self, tmp_path: Path) -> None:
        positions = [
            BEGINNING,
            Position(Place.BEGINNING, not_before=NOW - 120.5, epoch=2),
            after("9" * 40, epoch=7),
            end_of_shard(),
            end_of_shard("1" * 21, epoch=1),
        ]
        cursors = [cursor(number, position) for number, position in enumerate(positions)]
        cursors.append(
            replace(cursor(9, after("1")), kept_by_sink=True, through=NOW - 0.25, last_created=NOW - 9.0)
        )
        change = StateChange(
            cursors=cursors,
            starts=[
                SavedStart("bus", STREAM, "orders", "latest", NOW - 1.5, "7f3c9a52"),
                SavedStart("lake", STREAM, "orders", "trim-horizon", NOW),
            ],
            gaps=[
                SavedGap("bus", cursors[0].shard, "orders", NOW, "trimmed: \u00e9"),
                SavedGap("bus", cursors[1].shard, "orders", NOW, "trimmed", "resumed at trim-horizon"),
                SavedGap(
                    "lake",
                    cursors[1].shard,
                    "orders",
                    NOW,
                    "it expired",
                    "skipped",
                    kind="vanished",
                    certain=True,
                    after="9" * 40,
                    decided_at=NOW + 0.5,
                    count=3,
                    last_found_at=NOW + 86_400.125,
                ),
            ],
            settings={"sink.bus.schema": "document"},
            epochs={"bus": 7},
        )
        with self.owned(tmp_path) as (store, lease):
            store.save(lease, change)
            expected = contents(
                Saved(
                    change.cursors, change.starts, change.gaps, settings=change.settings, epochs=change.epochs
                )
            )
            assert contents(store.load()) == expected
        with self.opened(tmp_path) as store:
            assert contents(store.load()) == expected

    def test_replaces_what_has_the_same_key_and_keeps_the_rest(self, tmp_path: Path) -> None:
        found = SavedGap("bus", cursor(0).shard, "orders", NOW, "trimmed")
        start = SavedStart("bus", STREAM, "orders", "latest", NOW)
        with self.owned(tmp_path) as (store, lease):
            store.save(
                lease,
                StateChange(
                    cursors=[cursor(0, after("10")), cursor(1), cursor(0, sink="lake")],
                    starts=[start],
                    gaps=[found],
                    settings={"a": "1", "b": "1"},
                    epochs={"bus": 1, "lake": 1},
                ),
            )
            back = replace(cursor(0, after("9")), saved_at=NOW + 1)
            decided = replace(found, decision="resumed")
            again = replace(start, start="trim-horizon")
            store.save(
                lease,
                StateChange(
                    cursors=[back], starts=[again], gaps=[decided], settings={"b": "2"}, epochs={"bus": 2}
                ),
            )
            assert contents(store.load()) == contents(
                Saved(
                    [back, cursor(1), cursor(0, sink="lake")],
                    [again],
                    [decided],
                    settings={"a": "1", "b": "2"},
                    epochs={"bus": 2, "lake": 1},
                )
            )

    def test_forgets_the_cursors_that_it_is_told_to(self, tmp_path: Path) -> None:
        with self.owned(tmp_path) as (store, lease):
            store.save(lease, StateChange(cursors=[cursor(0), cursor(1), cursor(0, sink="lake")]))
            store.save(lease, StateChange(cursors=[cursor(2)], forget=[("bus", cursor(0).shard)]))
            store.save(lease, StateChange(forget=[("bus", cursor(7).shard)]))
            expected = Saved([cursor(1), cursor(2), cursor(0, sink="lake")])
            assert contents(store.load()) == contents(expected)

    def test_gaps_are_added_up(self, tmp_path: Path) -> None:
        """Several of one shard; the sum has the key of one of those that it replaces."""
        found = [SavedGap("bus", cursor(0).shard, "orders", NOW + 0.1 * n, "trimmed") for n in range(3)]
        other = SavedGap("lake", cursor(0).shard, "orders", NOW, "trimmed")
        total = replace(found[0], reason="all of them", count=3, last_found_at=found[2].found_at)
        with self.owned(tmp_path) as (store, lease):
            store.save(lease, StateChange(gaps=[*found, other]))
            store.save(lease, StateChange(gaps=[total], forget_gaps=[gap.key for gap in found]))
            store.save(lease, StateChange(forget_gaps=[("bus", cursor(9).shard, NOW)]))
            assert contents(store.load()) == contents(Saved(gaps=[total, other]))

    def test_replaces_all_that_was_saved(self, tmp_path: Path) -> None:
        start = SavedStart("bus", STREAM, "orders", "latest", NOW)
        gap = SavedGap("bus", cursor(0).shard, "orders", NOW, "trimmed")
        with self.owned(tmp_path, "other") as (other, lease):
            other.save(lease, StateChange(cursors=[cursor(5)], settings={"a": "1"}))
        with self.owned(tmp_path) as (store, lease):
            store.save(
                lease,
                StateChange(
                    [cursor(0), cursor(1)], [start], [gap], {"a": "1", "b": "1"}, {"bus": 1, "lake": 2}
                ),
            )
            new = StateChange(
                [cursor(1), cursor(2)], settings={"b": "2"}, epochs={"lake": 1}, replace_all=True
            )
            store.save(lease, new)
            expected = contents(Saved(new.cursors, settings=new.settings, epochs=new.epochs))
            assert contents(store.load()) == expected
        with self.opened(tmp_path, "other") as other:
            assert contents(other.load()) == contents(Saved([cursor(5)], settings={"a": "1"}))

    def test_an_epoch_that_was_given_elsewhere_is_not_given_again(self, tmp_path: Path) -> None:
        """Of a store that was restored from a copy, or made anew: `above` is what is known of its former life."""
        given = 41
        with self.opened(tmp_path) as store:
            lease = store.acquire(self.this_process(), lease_seconds=LEASE_SECONDS, now=NOW, above=given)
            assert lease.epoch > given
            zombie = replace(lease, epoch=given)
            error = error_of(lambda: store.save(zombie, StateChange(cursors=[cursor()])))
            assert error.kind is ErrorKind.NOT_OWNER
            store.release(lease)
            again = store.acquire(self.this_process(), lease_seconds=LEASE_SECONDS, now=NOW, above=7)
            assert again.epoch > lease.epoch

    def test_saves_many_at_once(self, tmp_path: Path) -> None:
        cursors = [cursor(number, after(str(number + 1))) for number in range(1000)]
        with self.owned(tmp_path) as (store, lease):
            store.save(lease, StateChange(cursors=cursors))
            assert contents(store.load()) == contents(Saved(cursors))

    def test_saves_the_cursors_of_a_thousand_shards_and_any_of_them_again(self, tmp_path: Path) -> None:
        """Three sinks: more rows than one request or item of some stores can hold."""
        sinks = ("bus", "lake", "dr")
        cursors = {
            (sink, number): cursor(number, after(str(10**20 + number)), sink=sink)
            for number in range(1000)
            for sink in sinks
        }
        with self.owned(tmp_path) as (store, lease):
            store.save(lease, StateChange(cursors=list(cursors.values())))
            assert contents(store.load()) == contents(Saved(list(cursors.values())))
            again = {(sink, 500): cursor(500, after("7" * 21), sink=sink) for sink in sinks}
            ended = {("bus", number): cursor(number, end_of_shard("8" * 21)) for number in range(300)}
            cursors |= again | ended
            store.save(lease, StateChange(cursors=[*again.values(), *ended.values()]))
            assert contents(store.load()) == contents(Saved(list(cursors.values())))
            gone = [("bus", number) for number in range(0, 300, 2)]
            store.save(lease, StateChange(forget=[(sink, cursor(number).shard) for sink, number in gone]))
            left = [found for key, found in cursors.items() if key not in gone]
        with self.opened(tmp_path) as store:
            assert contents(store.load()) == contents(Saved(left))

    def test_a_parent_goes_and_its_children_begin_in_one_save(self, tmp_path: Path) -> None:
        with self.owned(tmp_path) as (store, lease):
            store.save(lease, StateChange(cursors=[cursor(0, end_of_shard("9"))]))
            children = [cursor(1), cursor(2)]
            store.save(lease, StateChange(cursors=children, forget=[("bus", cursor(0).shard)]))
            assert contents(store.load()) == contents(Saved(children))

    def test_what_is_forgotten_and_saved_by_one_change_is_saved(self, tmp_path: Path) -> None:
        with self.owned(tmp_path) as (store, lease):
            store.save(lease, StateChange(cursors=[cursor(0, end_of_shard("9"))]))
            store.save(lease, StateChange(cursors=[cursor(0)], forget=[("bus", cursor(0).shard)]))
            assert contents(store.load()) == contents(Saved([cursor(0)]))

    def test_of_two_that_acquire_at_once_one_is_the_owner(self, tmp_path: Path) -> None:
        owners = [self.elsewhere(), replace(self.elsewhere(), pid=4243)]
        for number in range(5):
            with (
                self.opened(tmp_path, f"p{number}") as one,
                self.opened(tmp_path, f"p{number}") as other,
                ThreadPoolExecutor(2) as pool,
            ):
                start = Barrier(2)

                def come(store: StateStore, owner: Owner, start: Barrier = start) -> Lease | StateError:
                    start.wait(10)
                    try:
                        return store.acquire(owner, lease_seconds=LEASE_SECONDS, now=NOW)
                    except StateError as error:
                        return error

                answers = list(pool.map(come, (one, other), owners))
                [lease] = [answer for answer in answers if isinstance(answer, Lease)]
                [refused] = [answer for answer in answers if isinstance(answer, StateError)]
                assert refused.kind is ErrorKind.NOT_OWNER
                assert lease.owner.host in refused.message
                winner = one if answers[0] is lease else other
                winner.save(lease, StateChange(cursors=[cursor(number)]))

    def test_one_save_is_seen_whole_or_not_at_all(self, tmp_path: Path) -> None:
        rounds = 40

        def look() -> list[set[str]]:
            with self.opened(tmp_path) as visitor:
                return [{found.position.sequence for found in visitor.load().cursors} for _ in range(rounds)]

        with self.owned(tmp_path) as (store, lease), ThreadPoolExecutor(1) as visitor:
            seen = visitor.submit(look)
            for number in range(1, rounds):
                position = after(str(number))
                store.save(lease, StateChange(cursors=[cursor(shard, position) for shard in range(20)]))
            assert all(len(sequences) <= 1 for sequences in seen.result(60))

    def test_pipelines_in_one_place_do_not_see_each_other(self, tmp_path: Path) -> None:
        with self.owned(tmp_path, "one") as (one, lease), self.owned(tmp_path, "two") as (two, other):
            one.save(lease, StateChange(cursors=[cursor(1)], settings={"a": "1"}, epochs={"bus": 1}))
            two.save(other, StateChange(cursors=[cursor(2)]))
            two.save(other, StateChange(forget=[("bus", cursor(1).shard)]))
            assert contents(one.load()) == contents(
                Saved([cursor(1)], settings={"a": "1"}, epochs={"bus": 1})
            )
            assert contents(two.load()) == contents(Saved([cursor(2)]))
            one.release(lease)
            assert one.owner() is None
            assert two.owner() == other.owner
            two.save(other, StateChange(cursors=[cursor(3)]))

    def test_opens_again(self, tmp_path: Path) -> None:
        for number in range(3):
            with self.owned(tmp_path) as (store, lease):
                store.save(lease, StateChange(cursors=[cursor(number)]))
        with self.opened(tmp_path) as store:
            assert contents(store.load()) == contents(Saved([cursor(number) for number in range(3)]))


class FormatCases(StoreCases):
    """Cases for a store that other versions may have written."""

    def make_newer(self, base: Path) -> None:
        """Marks the state in this place, which exists, as written by a newer version."""
        raise NotImplementedError

    def make_foreign(self, base: Path) -> None:
        """Puts into this empty place something that is no state at all."""
        raise NotImplementedError

    def test_refuses_the_state_of_a_newer_version(self, tmp_path: Path) -> None:
        with self.owned(tmp_path) as (store, lease):
            store.save(lease, StateChange(cursors=[cursor()]))
        self.make_newer(tmp_path)
        error = error_of(self.make_store(tmp_path).open)
        assert error.kind is ErrorKind.STATE_FORMAT
        assert error.remedy

    def test_refuses_what_is_no_state(self, tmp_path: Path) -> None:
        self.make_foreign(tmp_path)
        assert error_of(self.make_store(tmp_path).open).kind is ErrorKind.STATE_FORMAT
