"""What stands before the simulated service: looks at the calls of a subject, or answers them as another service would."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from cdc.testing.sim.service import Sim

Answer = Callable[[str, Mapping[str, Any]], bytes]


def intercept(sim: Sim, front: Callable[[Answer, str, Mapping[str, Any]], bytes]) -> None:
    """From now on the subjects' calls go to `front`, which has what is behind it. The scenario's own (`sim.call`) do not."""
    behind = sim.answer
    vars(sim)["answer"] = lambda operation, request: front(behind, operation, request)


class Readers:
    """How many readers are on a shard at one time. A reader is one iterator and all that follow from it; it is there from its
    first page to its last.
    """

    def __init__(self, sim: Sim) -> None:
        self._calls = 0
        self._reader: dict[str, int] = {}
        """By iterator."""
        self._spans: dict[str, dict[int, tuple[int, int]]] = {}
        """By shard and reader: the numbers of its first and last call."""
        self._shard: dict[int, str] = {}
        intercept(sim, self._look)

    def _look(self, behind: Answer, operation: str, request: Mapping[str, Any]) -> bytes:
        body = behind(operation, request)
        self._calls += 1
        if operation == "GetShardIterator":
            self._reader[json.loads(body)["ShardIterator"]] = self._calls
            self._shard[self._calls] = request["ShardId"]
        elif operation == "GetRecords":
            reader = self._reader[request["ShardIterator"]]
            spans = self._spans.setdefault(self._shard[reader], {})
            spans[reader] = (spans.get(reader, (self._calls, 0))[0], self._calls)
            following = json.loads(body).get("NextShardIterator")
            if following is not None:
                self._reader[following] = reader
        return body

    def most(self) -> int:
        """At one time on one shard."""
        most = 0
        for spans in self._spans.values():
            turns = sorted(turn for first, last in spans.values() for turn in ((first, 1), (last + 0.5, -1)))
            there = 0
            for _, turn in turns:
                there += turn
                most = max(most, there)
        return most
