"""From a batch that was given to a watermark."""

from tests.mutants.mutant import Edit, Mutant

_DELIVERY = "cdc.core.delivery"
_TRACKER = "cdc.core.tracker"
_WORLD = "cdc.core.world"

MUTANTS = (
    Mutant(
        "position-at-accepted",
        "A position is saved when the sink has taken the batch, not when the batch is durable: a crash loses it.",
        (
            Edit(
                _DELIVERY,
                "        full = len(lane.tracker.open) >= self._world.settings.max_undurable_batches\n",
                "        full = len(lane.tracker.open) >= self._world.settings.max_undurable_batches\n"
                "        lane.tracker.durable = given.end\n"
                "        self._saving.dirty(lane)\n",
            ),
        ),
        shows="position ahead|dead letter",
    ),
    Mutant(
        "the-highest-and-not-the-contiguous",
        "The position is that of the farthest durable batch, although one before it is not durable.",
        (
            Edit(
                _TRACKER,
                "        moved = False\n",
                "        moved = given.end.order > self.durable.order\n"
                "        if moved:\n"
                "            self.durable = given.end\n",
            ),
        ),
        shows="position ahead|KeyError",
    ),
    Mutant(
        "later-batches-not-handed-back",
        "A batch fails, and what was given behind it goes on: it arrives before what is sent again.",
        (
            Edit(
                _TRACKER,
                "        for later in behind:\n",
                "        for later in behind[:1]:\n",
            ),
        ),
        tests=("tests/unit/core/test_tracker.py::test_nothing_is_given_while_batches_return",),
    ),
    Mutant(
        "sent-again-beside-what-returns",
        "What failed is sent again while the sink still has later batches in its hands.",
        (
            Edit(_WORLD, "            and not tracker.returning\n", ""),
            Edit(
                _TRACKER,
                "        if self.returning or self.unaccepted is not None:\n",
                "        if self.unaccepted is not None:\n",
            ),
            Edit(
                _TRACKER,
                "        if not self.returning:\n            self.given",
                "        if True:\n            self.given",
            ),
        ),
        tests=("tests/unit/core/test_tracker.py::test_nothing_is_given_while_batches_return",),
    ),
    Mutant(
        "two-unaccepted-batches",
        "The next batch of a shard is given before the sink has taken the last one: they overtake each other.",
        (
            Edit(_WORLD, "            and tracker.unaccepted is None\n", ""),
            Edit(
                _TRACKER,
                "        if self.returning or self.unaccepted is not None:\n",
                "        if self.returning:\n",
            ),
        ),
        shows="two unaccepted",
    ),
    Mutant(
        "end-before-the-batches-of-it",
        "The end of a shard is durable, and saved, while a batch before it is not.",
        (
            Edit(
                _DELIVERY,
                "        given.delivered = True\n",
                "        given.delivered = True\n"
                "        if given.end.place is Place.END and not given.failed:\n"
                "            lane.tracker.durable = given.end\n"
                "            self._saving.dirty(lane, at_once=True)\n",
            ),
        ),
        shows="position ahead",
    ),
    Mutant(
        "position-before-its-dead-letters",
        "A change that nobody could take is passed before its dead letter is durable: a crash, and it is nowhere.",
        (
            Edit(
                _DELIVERY,
                "event.shard, event.rejects)\n        else:\n            self._finish(lane, given, rejects=0)\n",
                "event.shard, event.rejects)\n        self._finish(lane, given, rejects=0)\n",
            ),
        ),
        shows="position ahead",
    ),
    Mutant(
        "dead-letter-without-blame",
        "One change is refused while others are on their way before it, and becomes a dead letter: the fault was another's.",
        (
            Edit(
                _TRACKER,
                "batch if len(changes) == 1 and self.clear else None",
                "batch if len(changes) == 1 else None",
            ),
        ),
        tests=(
            "tests/unit/core/test_isolation.py::test_a_change_behind_another_batch_is_given_alone_before_it_is_blamed",
        ),
    ),
    Mutant(
        "refused-change-passed-at-once",
        "The change that a sink refuses is left out of the next try; its dead letter follows.",
        (
            Edit(
                "cdc.core.isolation",
                "        self.letter, self.start = letter, batch.start\n",
                "        self.start = batch.start\n        self.buried = batch.changes[0].sequence\n",
            ),
        ),
        shows="passed over",
    ),
    Mutant(
        "dead-letters-without-limit",
        "A wrong schema makes a dead letter of every change, and the pipeline looks well.",
        (Edit("cdc.core.letters", "        if limit is None:\n", "        if limit is None or limit:\n"),),
        shows="dead letters",
    ),
    Mutant(
        "acknowledgements-dropped-on-the-way-out",
        "What becomes durable while the process ends is not noted: every restart delivers it again.",
        (
            Edit(
                _DELIVERY,
                "        if lane is None or given is None or given.delivered:\n            return\n",
                "        if lane is None or given is None or given.delivered or self._world.stopping:\n            return\n",
            ),
        ),
        tests=(
            "tests/conformance/test_05_terminate.py::test_an_orderly_end_is_followed_by_no_redelivery[service-in flight]",
        ),
    ),
    Mutant(
        "claimed-with-batches-on-their-way",
        "A sink that came back is claimed while it still has batches from before in its hands.",
        (
            Edit(
                "cdc.core.opening",
                "chosen = [lane for lane in lanes if lane.state is LaneState.UNCLAIMED and lane.tracker.clear]",
                "chosen = [lane for lane in lanes if lane.state is LaneState.UNCLAIMED]",
            ),
        ),
        shows="claim",
    ),
)
