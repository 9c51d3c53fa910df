"""Parents and children, streams and gaps."""

from tests.mutants.mutant import Edit, Mutant

_LINEAGE = "cdc.core.lineage"
_DISCOVERY = "cdc.core.discovery"
_ENGINE = "cdc.core.engine"
_FINISHED_ONLY = "        return lane is None or lane.state is LaneState.FINISHED\n"
_SETTLED = "if any(lane.state is LaneState.FINISHED for lane in entry.lanes.values()):"
_SOME_MOVED = "                if any(lane.state is LaneState.FINISHED for lane in entry.lanes.values()):\n"

MUTANTS = (
    Mutant(
        "child-at-read",
        "A child begins when its parent was read to the end, not when that end is durable: a crash, or a batch that "
        "comes back, and the order of an item is lost.",
        (
            Edit(
                _LINEAGE,
                _FINISHED_ONLY,
                "        return lane is None or lane.state in (LaneState.ENDING, LaneState.FINISHED)\n",
            ),
            Edit(_ENGINE, _SETTLED, "if entry.lanes:"),
        ),
        shows="child before parent",
    ),
    Mutant(
        "child-beside-its-parent",
        "Parent and children are read side by side.",
        (
            Edit(_LINEAGE, _FINISHED_ONLY, "        return True\n"),
            Edit(_ENGINE, _SETTLED, "if entry.lanes:"),
        ),
        shows="child before parent",
    ),
    Mutant(
        "child-of-an-open-parent",
        "Listings can name the child of a shard that is still open: it begins at once.",
        (
            Edit(
                _LINEAGE,
                _FINISHED_ONLY,
                "        return lane is None or lane.state is LaneState.FINISHED or not parent.shard.closed\n",
            ),
        ),
        shows="child before parent",
    ),
    Mutant(
        "one-sink-holds-a-shards-end",
        "A child begins when its parent has ended at every sink: one that is stopped holds all the others.",
        (
            Edit(
                _LINEAGE,
                _FINISHED_ONLY,
                "        return all(one.state is LaneState.FINISHED for one in parent.lanes.values())\n",
            ),
        ),
        shows="waits for another",
    ),
    Mutant(
        "children-looked-for-once",
        "Children can be listed later than their parent ends. Nobody looks again.",
        (
            Edit(
                _DISCOVERY,
                "        if looks < _CHILDREN_ATTEMPTS:\n",
                "        if looks < 0:\n",
            ),
            Edit(
                _DISCOVERY,
                '            world.later("listing", (event.stream, ""), world.settings.relist_seconds)\n',
                "",
            ),
        ),
        shows="waits for another",
    ),
    Mutant(
        "closed-shards-forgotten",
        "A closed shard that is done with is forgotten while it is still listed: it is found again, and read again.",
        (
            Edit(
                _LINEAGE,
                "            if entry.missing_since is not None\n"
                "            and entry.missing_since <= missing_before\n"
                "            and entry.finished\n",
                "            if entry.finished\n",
            ),
        ),
        shows="memory|twice|order|gap",
    ),
    Mutant(
        "forgotten-on-one-listing",
        "Listings are not consistent: a shard that one of them does not name is forgotten, and comes back.",
        (Edit(_LINEAGE, "            and entry.missing_since <= missing_before\n", ""),),
        tests=(
            "tests/unit/core/test_discovery.py::test_a_shard_that_is_missing_from_one_listing_is_not_forgotten",
        ),
    ),
    Mutant(
        "parents-forgotten-before-their-children",
        "The row of a finished parent goes before its children have one: after a restart nobody knows that it was read.",
        (
            Edit(
                _LINEAGE,
                "            and all(\n"
                "                lane.saved or lane.state is LaneState.FINISHED\n"
                "                for child in self.children_of(entry.key)\n"
                "                for lane in child.lanes.values()\n"
                "            )\n",
                "",
            ),
        ),
        tests=(
            "tests/unit/core/test_lineage.py::test_a_shard_is_forgotten_when_all_are_done_with_it_it_is_gone_and_its_children_are_saved",
        ),
    ),
    Mutant(
        "nothing-forgotten",
        "Shards come and go, and every one leaves a row and an object: memory and state grow for ever.",
        (
            Edit(
                _DISCOVERY,
                "        gone = list(lineage.forgettable(self._world.now.monotonic - patience))\n",
                "        gone = list(lineage.forgettable(self._world.now.monotonic - patience))[:0]\n",
            ),
        ),
        shows="memory",
        tests=("tests/unit/core/test_discovery.py::test_finished_shards_that_left_are_forgotten",),
    ),
    Mutant(
        "absent-parent-waited-for",
        "Old parents leave the listing while their children still name them: whoever waits for them waits for ever.",
        (
            Edit(
                _LINEAGE,
                "        if parent is None:\n            return True\n",
                "        if parent is None:\n            return entry.shard.parent is None\n",
            ),
        ),
        shows="not caught up",
        tests=(
            "tests/conformance/test_09_parent_disappears.py::test_a_fresh_start_does_not_wait_for_a_parent_that_is_not_there[service-never known]",
        ),
    ),
    Mutant(
        "vanished-parent-is-no-gap",
        "After an outage the parent of a shard is neither listed nor saved: its records are gone, and nobody says so.",
        (
            Edit(
                _DISCOVERY,
                "                    self._gaps.found(lane, GapKind.PARENT_GONE)\n                    continue\n",
                "                    pass\n",
            ),
        ),
        tests=("tests/unit/core/test_discovery.py::test_an_unknown_parent_that_is_gone_is_a_gap_on_resume",),
    ),
    Mutant(
        "on-behind-a-gap-before-it-is-told",
        "The pipeline goes on behind a gap, and its record is to be saved some time later: a crash, and nobody ever knows.",
        (
            Edit(
                "cdc.core.gaps",
                "        lane.unrecorded = True\n        self._unrecorded.add((lane.sink, lane.shard))\n",
                "        lane.passed = (lane.place, self._world.now)\n",
            ),
        ),
        shows="passed over|lost",
        tests=("tests/unit/core/test_gaps.py::test_nothing_goes_on_behind_a_gap_before_the_gap_is_saved",),
    ),
    Mutant(
        "new-stream-is-no-gap",
        "A stream that was switched off and on is another stream: what was written in between is in neither, and nobody "
        "says so.",
        (
            Edit(
                _DISCOVERY,
                "                kind = self._replaced.get((sink, arn))\n",
                "                kind = None\n",
            ),
        ),
        tests=(
            "tests/conformance/test_10_new_stream.py::test_a_new_stream_is_told_and_followed[service-enabled again]",
        ),
    ),
    Mutant(
        "new-stream-beside-the-old-one",
        "The new stream of a table is read before the old one is drained: the order of an item is lost.",
        (
            Edit(
                _DISCOVERY,
                "if begins and lineage.may_begin(entry, lane.sink) and self._drained_before(lineage, lane.sink):",
                "if begins and lineage.may_begin(entry, lane.sink):",
            ),
        ),
        tests=(
            "tests/unit/core/test_discovery.py::test_a_new_stream_waits_at_each_sink_until_the_old_one_is_drained",
        ),
    ),
    Mutant(
        "left-stream-not-told",
        "The table has another stream since the last run, and the old one is gone with what it held: nobody says so.",
        (
            Edit(
                _DISCOVERY,
                "        self._tell_of_left_streams([stream for stream in new if stream.table not in known])\n",
                "        self._tell_of_left_streams([])\n",
            ),
        ),
        tests=("tests/unit/core/test_discovery.py::test_what_was_left_of_an_old_stream_is_told_once",),
    ),
    Mutant(
        "gap-not-saved",
        "A gap is logged, and forgotten with the process: the next one reads on as if nothing had been lost.",
        (
            Edit(
                "cdc.core.gaps",
                "        self._keep(gap)\n        self._saving.gap(gap)\n",
                "        self._keep(gap)\n",
            ),
        ),
        shows="not caught up|lost|passed over",
        tests=(
            "tests/conformance/test_06_longer_than_a_day.py::test_one_sink_away_has_a_gap_of_its_own[service-one sink away]",
        ),
    ),
    Mutant(
        "starts-not-saved-before-reading",
        "Where a sink begins is saved some time after it began: a crash in between, and LATEST is another place.",
        (Edit(_DISCOVERY, "        lineage.begun = not new\n", "        lineage.begun = True\n"),),
        shows="start",
        tests=("tests/unit/core/test_discovery.py::test_starts_are_saved_before_anything_is_read",),
    ),
)
