"""Which position counts."""

from tests.mutants.mutant import Edit, Mutant

_POSITIONS = "cdc.core.positions"

MUTANTS = (
    Mutant(
        "sequence-numbers-as-text",
        "Sequence numbers have 21 to 40 digits: as text, 9 comes after 10.",
        (
            Edit(
                "cdc.model",
                "    def order(self) -> tuple[int, int]:\n"
                "        return (self.place, int(self.sequence) if self.place is Place.AFTER else 0)\n",
                "    def order(self) -> tuple[int, str]:\n"
                '        return (self.place, self.sequence if self.place is Place.AFTER else "")\n',
            ),
        ),
        shows="waits for another|hole|passed over|not caught up|lost",
    ),
    Mutant(
        "what-the-sink-holds-ignored",
        "The sink keeps its position with its data, and nobody asks for it: what the saved position is behind comes twice.",
        (
            Edit(
                _POSITIONS,
                "for position in (saved.position if saved else None, held)",
                "for position in (saved.position if saved else held,)",
            ),
        ),
        shows="twice",
    ),
    Mutant(
        "epochs-ignored-at-claim",
        "After a reset to the oldest record the sink still holds its old position: the farther one wins, and nothing is "
        "sent again.",
        (
            Edit(
                _POSITIONS,
                "        if position is not None and position.epoch == epoch\n",
                "        if position is not None\n",
            ),
        ),
        tests=(
            "tests/conformance/test_06_longer_than_a_day.py::test_where_nobody_can_know_it_is_told[service-idle table]",
        ),
    ),
    Mutant(
        "lost-data-is-a-fresh-start",
        "The sink held a position, and with it data, and holds neither any more: the pipeline goes on at the saved one.",
        (
            Edit(
                _POSITIONS,
                "        and held is None\n",
                "        and held is None is False\n",
            ),
        ),
        tests=("tests/unit/core/test_delivery.py::test_a_sink_that_lost_its_position_is_halted",),
    ),
    Mutant(
        "time-filter-for-descendants",
        "With LATEST, older records of a shard are dropped by their time; a child that is found late has older ones, and "
        "owes them.",
        (
            Edit(
                "cdc.core.discovery",
                "        tracker = Tracker(position or BEGINNING, position or BEGINNING)\n",
                '        late = self._world.settings.start == "latest"\n        begin = Position(Place.BEGINNING, not_before=self._world.now.wall) if late else BEGINNING\n        tracker = Tracker(position or begin, position or begin)\n',
            ),
        ),
        shows="passed over",
    ),
    Mutant(
        "children-at-latest",
        "With LATEST, the child of a shard begins at its newest record, too: what came before is lost.",
        (
            Edit(
                "cdc.core.discovery",
                "        self._gaps.restore(lane)\n        return lane\n",
                '        self._gaps.restore(lane)\n        lane.wants_latest = position is None and self._world.settings.start == "latest"\n        return lane\n',
            ),
        ),
        shows="passed over",
    ),
    Mutant(
        "age-by-the-wall-clock",
        "The wall clock jumps, and a shard that was read a second ago looks as if nobody had read it for a day.",
        (
            Edit(
                "cdc.core.lineage",
                "return now.monotonic - max(at.monotonic for at in looked if at is not None)",
                "return now.wall - max(at.wall for at in looked if at is not None)",
            ),
        ),
        tests=(
            "tests/sim/test_clock_jumps.py::test_an_idle_shard_is_not_taken_for_one_that_nobody_read_for_a_day[200000.0]",
        ),
    ),
)
