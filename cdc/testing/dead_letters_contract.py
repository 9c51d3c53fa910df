"""What all `DeadLetters` do, as test cases to be subclassed (as those of `cdc.testing.sink_contract`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from cdc.errors import DeadLetterError, ErrorKind
from cdc.ports import DeadLetter, DeadLetters
from cdc.testing.batches import EVERY_TYPE, Table

AT = 1_767_225_660.25


def letters(count: int = 3, *, sink: str = "bus") -> list[DeadLetter]:
    """Letters of as many changes of one shard."""
    feed = Table().shard()
    for number in range(count):
        feed.put(f"item-{number}", **EVERY_TYPE)
    batch = feed.batch()
    return [
        DeadLetter(
            pipeline="pipeline",
            sink=sink,
            table=batch.stream.table,
            shard=batch.shard,
            sequence=change.sequence,
            created_ms=batch.stream.created_ms,
            kind=ErrorKind.REJECTED.value,
            reason="the item is larger than the destination takes",
            at=AT,
            record=batch.raw_record(change),
        )
        for change in batch.changes
    ]


class DeadLettersCases:
    """Cases for all dead letters."""

    def make_dead_letters(self, base: Path) -> DeadLetters:
        """New dead letters of the pipeline `pipeline`, in the place that belongs to the folder `base`; not opened."""
        raise NotImplementedError

    @contextmanager
    def opened(self, base: Path) -> Iterator[DeadLetters]:
        dead_letters = self.make_dead_letters(base)
        dead_letters.open()
        try:
            yield dead_letters
        finally:
            dead_letters.close()

    def test_a_new_place_is_empty(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as dead_letters:
            assert list(dead_letters.read()) == []
            assert not any(dead_letters.count().values())

    def test_gives_back_what_was_written(self, tmp_path: Path) -> None:
        written = letters()
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write(written)
            assert in_order(dead_letters) == written

    def test_keeps_the_record_byte_for_byte(self, tmp_path: Path) -> None:
        spaced = msgspec.json.format(letters(1)[0].record, indent=4)
        letter = replace(letters(1)[0], record=spaced)
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write([letter])
        with self.opened(tmp_path) as dead_letters:
            assert [found.record for found in dead_letters.read()] == [spaced]

    def test_another_instance_sees_what_was_written_at_once(self, tmp_path: Path) -> None:
        written = letters()
        with self.opened(tmp_path) as dead_letters, self.opened(tmp_path) as visitor:
            dead_letters.write(written[:1])
            assert in_order(visitor) == written[:1]
            dead_letters.write(written[1:])
            assert in_order(visitor) == written

    def test_a_letter_that_is_written_again_is_one_letter(self, tmp_path: Path) -> None:
        written = letters()
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write(written)
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write([replace(letter, at=AT + 60) for letter in written[1:]])
            assert [found.sequence for found in in_order(dead_letters)] == [
                letter.sequence for letter in written
            ]
            assert dead_letters.count() == {"bus": 3}

    def test_each_sink_has_its_own(self, tmp_path: Path) -> None:
        bus, lake = letters(3), letters(2, sink="lake")
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write([*bus, *lake])
            assert dead_letters.count() == {"bus": 3, "lake": 2}
            assert in_order(dead_letters) == [*bus, *lake]

    def test_a_letter_that_was_replayed_is_there_and_not_open(self, tmp_path: Path) -> None:
        written = letters(3)
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write(written)
            assert dead_letters.count() == {"bus": 3}
            dead_letters.mark_replayed(written[1:2], AT + 60)
            assert dead_letters.count() == {"bus": 2}
        with self.opened(tmp_path) as dead_letters:
            assert in_order(dead_letters) == [
                written[0],
                replace(written[1], replayed_at=AT + 60),
                written[2],
            ]
            assert dead_letters.count() == {"bus": 2}

    def test_a_letter_is_replayed_at_its_own_sink_only(self, tmp_path: Path) -> None:
        bus, lake = letters(2), letters(2, sink="lake")
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write([*bus, *lake])
            dead_letters.mark_replayed(lake, AT + 60)
            assert [letter.replayed_at for letter in in_order(dead_letters)] == [None, None, AT + 60, AT + 60]
            assert {sink: n for sink, n in dead_letters.count().items() if n} == {"bus": 2}

    def test_a_letter_that_is_replayed_again_says_when_it_was_last(self, tmp_path: Path) -> None:
        written = letters(1)
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write(written)
            dead_letters.mark_replayed(written, AT + 60)
            dead_letters.mark_replayed(in_order(dead_letters), AT + 90)
            assert in_order(dead_letters) == [replace(written[0], replayed_at=AT + 90)]
            assert not any(dead_letters.count().values())

    def test_a_letter_that_is_refused_after_it_was_replayed_is_open_again(self, tmp_path: Path) -> None:
        written = letters(2)
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write(written)
            dead_letters.mark_replayed(written, AT + 60)
            again = replace(written[0], at=AT + 120, reason="it is still too large")
            dead_letters.write([again, again])
            assert in_order(dead_letters) == [again, replace(written[1], replayed_at=AT + 60)]
            assert dead_letters.count() == {"bus": 1}

    def test_writing_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write([])
            dead_letters.mark_replayed([], AT)
            assert list(dead_letters.read()) == []


class DeadLettersOutageCases(DeadLettersCases):
    """Cases for dead letters whose place can be out of reach, and come back."""

    def break_it(self, base: Path) -> None:
        """From now on nothing can be written."""
        raise NotImplementedError

    def mend_it(self, base: Path) -> None:
        """Brings the place back, with all that was written."""
        raise NotImplementedError

    def test_a_write_that_failed_can_be_repeated(self, tmp_path: Path) -> None:
        written = letters()
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write(written[:1])
            self.break_it(tmp_path)
            try:
                dead_letters.write(written[1:])
            except DeadLetterError as error:
                failure: DeadLetterError | None = error
            else:
                failure = None
            self.mend_it(tmp_path)
            assert failure is not None, "written although the place is out of reach"
            dead_letters.write(written[1:])
            assert in_order(dead_letters) == written
            assert dead_letters.count() == {"bus": 3}

    def test_a_mark_that_failed_can_be_repeated(self, tmp_path: Path) -> None:
        written = letters(1)
        with self.opened(tmp_path) as dead_letters:
            dead_letters.write(written)
            self.break_it(tmp_path)
            try:
                dead_letters.mark_replayed(written, AT + 60)
            except DeadLetterError as error:
                failure: DeadLetterError | None = error
            else:
                failure = None
            self.mend_it(tmp_path)
            assert failure is not None, "marked although the place is out of reach"
            assert in_order(dead_letters) == written
            dead_letters.mark_replayed(written, AT + 60)
            assert in_order(dead_letters) == [replace(written[0], replayed_at=AT + 60)]


def in_order(dead_letters: DeadLetters) -> list[DeadLetter]:
    """All letters by sink, shard and sequence number: no order is promised."""
    return sorted(dead_letters.read(), key=lambda letter: (letter.sink, letter.shard, int(letter.sequence)))
