"""What is done about an error of the source."""

from tests.mutants.mutant import Edit, Mutant

_ENGINE = "cdc.core.engine"
_READING = "cdc.core.reading"

MUTANTS = (
    Mutant(
        "throttle-ends-the-shard",
        "A call on one shard is throttled, and the shard given up as finished.",
        (
            Edit(
                _ENGINE,
                "                self._read_again_later(entry.key, event.error, rule.remedy)\n",
                "                self._read_again_later(entry.key, event.error, rule.remedy)\n"
                "                for lane in lanes:\n"
                "                    self._delivery.end_unread(entry, lane)\n",
            ),
        ),
        shows="passed over|open and finished",
        tests=(
            "tests/conformance/test_07_iterator_refused.py::test_one_shard_is_tried_again_and_the_others_go_on[service-throttled]",
        ),
    ),
    Mutant(
        "not-found-ends-the-shard",
        "A shard that is not there any more counts as one that was read to its end.",
        (
            Edit(
                _ENGINE,
                "if vanished and self._gaps.owes_nothing(lane):",
                "if vanished:",
            ),
        ),
        shows="passed over|lost",
        tests=(
            "tests/conformance/test_09_parent_disappears.py::test_a_parent_that_went_unread_is_told_before_its_child_is_given[service-unread, one sink down]",
        ),
    ),
    Mutant(
        "trimmed-and-reading-on",
        "What was to be read has expired: the reader goes on at the oldest record that is left, and says nothing.",
        (
            Edit(
                _ENGINE,
                "elif vanished or self._gaps.is_untold(lane):",
                "elif vanished:",
            ),
        ),
        shows="passed over|lost|hole",
        tests=(
            "tests/conformance/test_06_longer_than_a_day.py::test_where_nobody_can_know_it_is_told[service-idle table]",
        ),
    ),
    Mutant(
        "trimmed-and-asking-for-ever",
        "What was to be read has expired: the same call again, for ever.",
        (
            Edit(
                _READING,
                "if event.error.kind is ErrorKind.TRIMMED and (reader.at.place is Place.BEGINNING or reader.oldest):\n",
                "if event.error.kind is ErrorKind.TRIMMED:\n",
            ),
        ),
        shows="not caught up",
        tests=(
            "tests/conformance/test_06_longer_than_a_day.py::test_where_nobody_can_know_it_is_told[service-idle table]",
        ),
    ),
    Mutant(
        "trimmed-at-the-oldest-is-a-gap",
        "The oldest record moves on while an iterator stands before it: nothing that anybody counted on is gone, and the "
        "shard stops all the same.",
        (
            Edit(
                _READING,
                "if event.error.kind is ErrorKind.TRIMMED and (reader.at.place is Place.BEGINNING or reader.oldest):\n",
                "if event.error.kind is ErrorKind.TRIMMED and reader.oldest:\n",
            ),
        ),
        tests=("tests/unit/core/test_reading.py::test_the_oldest_record_may_move_on_under_a_fresh_iterator",),
    ),
    Mutant(
        "a-days-silence-is-no-gap",
        "At the oldest record no call tells that older ones have gone. Nobody looked there for longer than a record lives.",
        (
            Edit(
                "cdc.core.gaps",
                "            self.found(lane, GapKind.UNREAD)\n",
                "            pass\n",
            ),
        ),
        shows="passed over|lost",
        tests=(
            "tests/unit/core/test_gaps.py::test_halt_stops_the_shard_at_the_sink_and_waits_for_a_decision[unread-too-long]",
        ),
    ),
)
