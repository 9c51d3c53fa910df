from dataclasses import replace
from pathlib import Path

import pytest

from cdc.errors import ErrorKind
from cdc.model import ShardKey
from cdc.ports import DeadLetter, DeadLetters, Owner, StateStore
from cdc.testing.dead_letters_contract import DeadLettersOutageCases
from cdc.testing.fakes import Faults, MemoryDeadLetters, MemoryState, MemoryStore
from cdc.testing.faults import FailAfterWrite, Refuse
from cdc.testing.store_outages import OutageCases

HERE = Owner(host="here.invalid", pid=100, process_started="5000")


class TestMemoryStore(OutageCases):
    @pytest.fixture(autouse=True)
    def _place(self) -> None:
        self.place: dict[str, MemoryState] = {}
        self.faults = Faults()

    def break_it(self, base: Path) -> None:
        self.faults.outage("save", "renew", fault=Refuse(ErrorKind.THROTTLED))

    def lose_its_answers(self, base: Path) -> None:
        self.faults.outage("save", "renew", fault=FailAfterWrite())

    def mend_it(self, base: Path) -> None:
        self.faults.mend()

    def make_store(self, base: Path, pipeline: str = "pipeline") -> StateStore:
        state = self.place.setdefault(pipeline, MemoryState())
        state.end(replace(HERE, process_started="1"))
        state.end(self.ended_process())
        return MemoryStore(state, faults=self.faults)

    def this_process(self) -> Owner:
        return HERE

    def ended_process(self) -> Owner:
        return replace(HERE, pid=99)


class TestMemoryDeadLetters(DeadLettersOutageCases):
    @pytest.fixture(autouse=True)
    def _place(self) -> None:
        self.letters: dict[tuple[str, str, ShardKey, str], DeadLetter] = {}
        self.faults = Faults()

    def make_dead_letters(self, base: Path) -> DeadLetters:
        return MemoryDeadLetters(self.letters, faults=self.faults)

    def break_it(self, base: Path) -> None:
        self.faults.outage("write")

    def mend_it(self, base: Path) -> None:
        self.faults.mend()
