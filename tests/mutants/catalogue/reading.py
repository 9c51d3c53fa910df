"""Reading pages, and iterators."""

from tests.mutants.mutant import Edit, Mutant

_READING = "cdc.core.reading"
_DELIVERY = "cdc.core.delivery"

MUTANTS = (
    Mutant(
        "last-page-dropped",
        "The page that ends a shard carries records; readers that look for the end first throw them away.",
        (
            Edit(
                _READING,
                "return Batch(entry.stream, entry.key, start, end, page.changes, now.wall, page.body), only",
                "changes = () if end.place is Place.END else page.changes\n"
                "        return Batch(entry.stream, entry.key, start, end, changes, now.wall, page.body), only",
            ),
        ),
        shows="passed over",
        tests=("tests/conformance/test_01_last_page.py",),
    ),
    Mutant(
        "empty-page-is-the-end",
        "Pages are empty in mid-shard, too: only an absent iterator ends a shard.",
        (
            Edit(
                _READING,
                "if page.next_iterator is None:",
                "if page.next_iterator is None or not page.changes:",
            ),
        ),
        shows="open and finished",
    ),
    Mutant(
        "latest-after-an-expired-iterator",
        "An iterator expires after 15 minutes. Whoever takes a new one at LATEST passes over all that came meanwhile.",
        (
            Edit(
                _READING,
                "world.emit(OpenIterator(reader.key, BEGINNING if reader.oldest else reader.at, latest))",
                "again = reader.failures > 0\n        world.emit(OpenIterator(reader.key, BEGINNING if reader.oldest or again else reader.at, latest or again))",
            ),
        ),
        shows="passed over",
    ),
    Mutant(
        "latest-twice",
        "LATEST gives no durable place on an idle shard: a second iterator there passes over what came in between.",
        (
            Edit(
                _READING,
                "self._world.known_lane(sink, reader.key.shard).wants_latest = False",
                "self._world.known_lane(sink, reader.key.shard).wants_latest = True",
            ),
        ),
        tests=(
            "tests/unit/core/test_reading.py::test_an_iterator_that_expires_before_a_record_was_read_is_never_latest_again",
        ),
    ),
    Mutant(
        "latest-offered-to-all",
        "A page that was read from the newest record on is given to a sink that begins at the oldest.",
        (
            Edit(
                _READING,
                "        only = reader.only_for\n",
                "        only: frozenset[str] = frozenset()\n",
            ),
        ),
        tests=(
            "tests/unit/core/test_reading.py::test_what_an_iterator_at_latest_passed_over_is_only_for_whom_it_was_opened",
        ),
    ),
    Mutant(
        "three-iterators",
        "A shard allows two readers; a third one is throttled, and so are the first two.",
        (
            Edit(
                _READING,
                "if len(readers.readers) >= self._world.settings.readers_per_shard:",
                "if len(readers.readers) > self._world.settings.readers_per_shard:",
            ),
        ),
        shows="iterators",
    ),
    Mutant(
        "calls-beyond-the-budget",
        "A shard is asked as often as there is time, a listing too: the service throttles everybody who reads it.",
        (
            Edit(
                "cdc.core.schedule",
                "return 0.0 if self._tokens >= _WHOLE else (1.0 - self._tokens) / self.per_second",
                "return 0.0",
            ),
        ),
        shows="call budget",
    ),
    Mutant(
        "retry-at-once",
        "A failed call is made again at once, as often as it fails: back-off that never grows, or is none.",
        (
            Edit(
                "cdc.core.policy",
                "    return full * (0.75 + 0.25 * spread)",
                "    return 0.0 * full * spread",
            ),
        ),
        tests=("tests/unit/core/test_policy.py::test_backing_off_grows_to_its_limit_and_is_the_same_again",),
    ),
    Mutant(
        "hand-over-behind-its-start",
        "A page of the reader in front is given to a sink that has not come to where the page begins.",
        (
            Edit(
                _DELIVERY,
                "if lane.state is not LaneState.FLOWING or place.order < batch.start.order:",
                "if lane.state is not LaneState.FLOWING:",
            ),
        ),
        shows="passed over|hole",
    ),
    Mutant(
        "hand-over-of-the-whole-page",
        "A sink that stands in the middle of a page is given all of it: what it has had, again.",
        (
            Edit(
                _DELIVERY,
                "lane.isolation.part(page.after(lane.place)) if lane.tracker.clear else page.after(lane.place)",
                "lane.isolation.part(page) if lane.tracker.clear else page",
            ),
        ),
        shows="twice|dead letter",
    ),
    Mutant(
        "catch-up-before-the-head",
        "The sinks in front wait until the hindmost one has caught up.",
        (Edit(_READING, "            yield from (head, low)", "            yield low"),),
        tests=("tests/sim/test_catching_up.py::test_the_head_does_not_wait_for_a_sink_that_catches_up[2]",),
    ),
    Mutant(
        "one-iterator-stays-behind",
        "On a global table one iterator has to do for all; it never turns back to the head.",
        (
            Edit(
                _READING,
                "return low if reader.at.order == low.order and not (over and now >= readers.head_due) else head",
                "return low",
            ),
        ),
        tests=("tests/sim/test_catching_up.py::test_the_head_does_not_wait_for_a_sink_that_catches_up[1]",),
    ),
    Mutant(
        "patience-without-end",
        "All sinks wait for the one that does not accept its last batch.",
        (
            Edit(
                _READING,
                "until = unaccepted.given_at + world.settings.grace_seconds",
                "until = world.now.monotonic + world.settings.grace_seconds",
            ),
        ),
        shows="waits for another",
    ),
    Mutant(
        "starved-by-what-failed",
        "What a sink refused still counts as memory that it holds: some day it is given nothing more.",
        (
            Edit(
                _DELIVERY,
                "        first = not given.failed\n        self._accept(given, sink)\n",
                "        first = not given.failed\n        given.accepted = True\n",
            ),
        ),
        shows="not caught up",
    ),
    Mutant(
        "no-back-pressure",
        "A sink is given more than it takes, until the memory is full.",
        (
            Edit(
                "cdc.core.world",
                "            and sink.unaccepted_bytes < self.settings.max_unaccepted_bytes\n"
                "            and len(tracker.open) < self.settings.max_undurable_batches\n",
                "",
            ),
        ),
        shows="memory",
    ),
)
