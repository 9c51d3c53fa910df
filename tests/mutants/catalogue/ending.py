"""Ending: on request, and when all is delivered."""

from tests.mutants.mutant import Edit, Mutant

_FINISHING = "cdc.core.finishing"

MUTANTS = (
    Mutant(
        "stop-request-lost",
        "The request to stop is noted, and nobody looks at it again.",
        (
            Edit(
                "cdc.core.engine",
                'kind not in ("save", "finish", "flush", "letters")',
                'kind not in ("save", "flush", "letters")',
            ),
        ),
        shows="does not stop",
    ),
    Mutant(
        "stop-without-a-flush",
        "An orderly end does not ask the sinks to make durable what they have: every restart delivers it again.",
        (
            Edit(
                _FINISHING,
                "        for sink in world.sinks.values():\n            if sink.batches:\n                self._opening.flush(sink)\n        self.watch()\n",
                "        self.watch()\n",
            ),
            Edit(
                "cdc.core.delivery",
                "sink.state is SinkState.PROBING or self._world.stopping or full",
                "sink.state is SinkState.PROBING or full",
            ),
        ),
        tests=(
            "tests/unit/core/test_finishing.py::test_sigterm_reads_no_more_flushes_saves_and_ends_with_0",
        ),
    ),
    Mutant(
        "stop-without-a-save",
        "An orderly end leaves what became durable last unsaved.",
        (
            Edit(
                _FINISHING,
                "        if resting or late:\n            self._saving.save()\n        if self._saving.clean and (resting or late):\n",
                "        if resting or late:\n",
            ),
        ),
        tests=(
            "tests/conformance/test_05_terminate.py::test_an_orderly_end_is_followed_by_no_redelivery[service-in flight]",
        ),
    ),
    Mutant(
        "stop-waits-for-a-sink-that-is-down",
        "A sink that is down holds up the end of the process, until somebody kills it.",
        (
            Edit(
                _FINISHING,
                "all(sink.batches == 0 or not sink.is_open for sink in",
                "all(sink.batches == 0 and sink.is_open for sink in",
            ),
            Edit(
                _FINISHING, "        late = world.now.monotonic >= self._deadline\n", "        late = False\n"
            ),
        ),
        shows="stop",
    ),
    Mutant(
        "one-empty-page-is-caught-up",
        "One empty page counts as the end of what is there: records are published late, and pages empty in mid-shard.",
        (
            Edit(
                _FINISHING,
                "        return not entry.shard.closed and lasted >= self._world.settings.caught_up_seconds\n",
                "        return not entry.shard.closed and lane.evidence.run is not None and lasted >= 0.0\n",
            ),
        ),
        tests=(
            "tests/unit/core/test_finishing.py::test_caught_up_is_empty_pages_for_a_while_and_then_a_listing",
        ),
    ),
    Mutant(
        "caught-up-without-a-new-listing",
        "All known shards are read, and so the work is done: children that nobody has listed yet are left.",
        (
            Edit(
                _FINISHING,
                "        behind = behind or self._discovery.looking or bool(world.table_errors)\n",
                "        behind = behind or bool(world.table_errors)\n",
            ),
            Edit(
                _FINISHING,
                "        listed = all(self._discovery.listed_at.get(arn, -1.0) >= self._quiet_since for arn in world.lineages)\n",
                "        listed = True\n",
            ),
            Edit(
                _FINISHING,
                "        return not entry.shard.closed and lasted",
                "        return entry.shard is not None and lasted",
            ),
        ),
        tests=(
            "tests/unit/core/test_finishing.py::test_the_end_waits_for_the_answer_of_a_listing_that_was_asked_for_in_the_quiet",
        ),
    ),
    Mutant(
        "caught-up-before-it-is-durable",
        "Everything was given to the sinks, and so the work is done.",
        (
            Edit(
                _FINISHING,
                "            settled = settled and flowing and quiet and lane.tracker.clear\n",
                "            settled = settled and ((flowing and quiet) or lane.state is LaneState.ENDING)\n",
            ),
        ),
        tests=("tests/unit/core/test_finishing.py::test_what_is_not_durable_is_flushed_and_waited_for",),
    ),
    Mutant(
        "flush-asked-for-once",
        "What a sink accepts while it flushes is not flushed with it, and nobody asks again.",
        (
            Edit(
                "cdc.core.opening",
                "        elif again and sink.batches:\n",
                "        elif again and sink.batches < 0:\n",
            ),
        ),
        tests=(
            "tests/unit/core/test_delivery.py::test_what_was_accepted_while_a_flush_ran_is_flushed_after_it",
        ),
    ),
    Mutant(
        "end-held-already-not-noticed",
        "The sink holds the end of the shard already; the shard is read once more, or waited for.",
        (
            Edit(
                "cdc.core.opening",
                "        if position.place is Place.END:\n            finished(self._world, lane)\n",
                "",
            ),
        ),
        shows="not caught up|ValueError",
    ),
)
