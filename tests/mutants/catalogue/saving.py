"""Saving positions."""

from tests.mutants.mutant import Edit, Mutant

_SAVING = "cdc.core.saving"

MUTANTS = (
    Mutant(
        "saved-by-count-only",
        "Positions are saved after so many batches: a quiet shard's never, and a crash replays a day.",
        (
            Edit(
                _SAVING,
                '            self._world.later("save", ("", ""), self._world.settings.checkpoint_seconds)\n',
                "            self._count += 1\n"
                "            if self._starts or self._gaps or self._settings or self._count % 25 == 0:\n"
                '                self._world.later("save", ("", ""), self._world.settings.checkpoint_seconds)\n',
            ),
            Edit(
                _SAVING,
                "        self._saving = False\n        self.tables",
                "        self._saving = False\n        self._count = 0\n        self.tables",
            ),
        ),
        shows="not saved",
        tests=(
            "tests/conformance/test_04_kill.py::test_nothing_that_was_acknowledged_is_lost_or_comes_twice[service-saved]",
        ),
    ),
    Mutant(
        "failed-save-forgotten",
        "A save fails, and what was in it is not saved again until it changes again.",
        (
            Edit(
                _SAVING,
                "                self._cursors.setdefault((cursor.sink, cursor.shard), lane)\n",
                "                pass\n",
            ),
        ),
        shows="not saved",
        tests=(
            "tests/unit/core/test_saving.py::test_failing_saves_are_tried_less_and_less_and_nothing_stops_for_them",
        ),
    ),
    Mutant(
        "gap-lost-with-a-failed-save",
        "A save fails, and the gap in it with it.",
        (
            Edit(
                _SAVING,
                "        self._gaps = {gap.key: gap for gap in change.gaps if gap.key not in forgotten} | self._gaps\n",
                "",
            ),
        ),
        tests=("tests/unit/core/test_gaps.py::test_nothing_goes_on_behind_a_gap_before_the_gap_is_saved",),
    ),
    Mutant(
        "two-saves-at-once",
        "A second save is sent before the first one is answered: the older one may be the last to arrive.",
        (
            Edit(
                _SAVING,
                "        if self._saving or self.clean:\n            return\n",
                "        self._saving = False\n        if self.clean:\n            return\n",
            ),
            Edit(
                _SAVING,
                "        if self._saving or self._world.unsaved is not None:\n",
                "        if self._world.unsaved is not None:\n",
            ),
        ),
        shows="two saves",
    ),
    Mutant(
        "owner-lost-and-going-on",
        "Another process has taken the pipeline over. This one saves again and again, and goes on delivering.",
        (
            Edit(
                "cdc.core.policy",
                "    ErrorKind.NOT_OWNER: Rule(\n        Action.HALT_PIPELINE,",
                "    ErrorKind.NOT_OWNER: Rule(\n        Action.RETRY,",
            ),
        ),
        shows="fenced and goes on",
        tests=("tests/unit/core/test_saving.py::test_a_process_that_is_no_owner_any_more_ends",),
    ),
    Mutant(
        "fenced-and-going-on",
        "The sink has fenced this process off for another. It opens and claims again, and fences off the other one.",
        (
            Edit(
                "cdc.core.policy",
                "    ErrorKind.FENCED: Rule(\n        Action.HALT_PIPELINE,",
                "    ErrorKind.FENCED: Rule(\n        Action.RETRY,",
            ),
        ),
        shows="fenced and goes on",
        tests=("tests/unit/core/test_delivery.py::test_a_fenced_process_ends",),
    ),
)
