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
        "does not stop",
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
        "twice|duplicates|again|==",
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
        "twice|duplicates|again|==",
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
        "does not stop|stopped with|exit_code",
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
        "misses",
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
        "misses",
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
        "misses",
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
        "not caught up|==|stopped",
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
        "not caught up|ValueError|AssertionError",
    ),
)
