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
        "passes|open and counts|not durable",
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
        "misses|passes|not durable|told|==",
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
        "misses|hole|told|==",
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
        "not caught up|told|stopped",
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
        "gap",
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
        "misses|told|==",
    ),
)
