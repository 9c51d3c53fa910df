"""What a state store on the other side of a network passes besides: calls that fail, and answers that get lost."""

from dataclasses import replace
from pathlib import Path

from cdc.errors import ErrorKind
from cdc.model import after
from cdc.ports import Saved, StateChange
from cdc.testing.saved_state import LEASE_SECONDS, NOW, contents, cursor, error_of
from cdc.testing.store_contract import StoreCases


class OutageCases(StoreCases):
    """Cases for a store that can be made to fail."""

    def break_it(self, base: Path) -> None:
        """Every save and renewal in this place fails from now on, and nothing of it happens."""
        raise NotImplementedError

    def lose_its_answers(self, base: Path) -> None:
        """Every save and renewal in this place happens from now on, and fails."""
        raise NotImplementedError

    def mend_it(self, base: Path) -> None:
        """It is well again."""
        raise NotImplementedError

    def test_a_save_that_failed_is_not_seen_and_can_be_repeated(self, tmp_path: Path) -> None:
        change = StateChange(cursors=[cursor(0, after("2")), cursor(1)], settings={"a": "1"})
        with self.owned(tmp_path) as (store, lease), self.opened(tmp_path) as visitor:
            store.save(lease, StateChange(cursors=[cursor(0, after("1"))]))
            self.break_it(tmp_path)
            for _ in range(3):
                error = error_of(lambda: store.save(lease, change))
                assert error.kind in (ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE)
            self.mend_it(tmp_path)
            assert contents(visitor.load()) == contents(Saved([cursor(0, after("1"))]))
            store.save(lease, change)
            assert contents(visitor.load()) == contents(Saved(change.cursors, settings=change.settings))

    def test_a_save_whose_answer_was_lost_is_no_lost_lease(self, tmp_path: Path) -> None:
        change = StateChange(cursors=[cursor(0, after("2")), cursor(1)])
        with self.owned(tmp_path) as (store, lease), self.opened(tmp_path) as visitor:
            store.save(lease, StateChange(cursors=[cursor(0, after("1")), cursor(9)]))
            self.lose_its_answers(tmp_path)
            assert error_of(lambda: store.save(lease, change)).kind is ErrorKind.UNAVAILABLE
            self.mend_it(tmp_path)
            more = replace(change, forget=[("bus", cursor(9).shard)])
            store.save(lease, more)
            assert contents(visitor.load()) == contents(Saved(change.cursors))
            store.save(lease, StateChange(cursors=[cursor(2)]))
            assert contents(visitor.load()) == contents(Saved([*change.cursors, cursor(2)]))

    def test_a_renewal_that_failed_is_no_lost_lease(self, tmp_path: Path) -> None:
        with self.owned(tmp_path) as (store, lease):
            for fail in (self.break_it, self.lose_its_answers):
                fail(tmp_path)
                error = error_of(lambda: store.renew(lease, now=NOW + 5))
                assert error.kind in (ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE)
                self.mend_it(tmp_path)
                store.renew(lease, now=NOW + 6)
                store.save(lease, StateChange(cursors=[cursor()]))

    def test_who_comes_after_a_lost_answer_finds_one_of_the_two(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as first, self.opened(tmp_path) as second:
            stale = first.acquire(self.ended_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            first.save(stale, StateChange(cursors=[cursor(0, after("1"))]))
            self.lose_its_answers(tmp_path)
            error_of(lambda: first.save(stale, StateChange(cursors=[cursor(0, after("2"))])))
            self.mend_it(tmp_path)
            lease = second.acquire(self.this_process(), lease_seconds=LEASE_SECONDS, now=NOW)
            found = second.load()
            assert contents(found) in [contents(Saved([cursor(0, after(place))])) for place in "12"]
            error = error_of(lambda: first.save(stale, StateChange(cursors=[cursor(0, after("3"))])))
            assert error.kind is ErrorKind.NOT_OWNER
            assert contents(second.load()) == contents(found)
            second.save(lease, StateChange(cursors=[cursor(0, after("4"))]))
