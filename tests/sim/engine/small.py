"""Small plans for situations that are set up by hand."""

from dataclasses import replace
from random import Random
from typing import Any

from cdc.core.world import Settings
from cdc.testing.sim.behaviour import Behaviour
from tests.sim.engine.plan import Plan, PlannedSink, Reshape, Write
from tests.sim.engine.sink import Temper

QUICK = Settings(relist_seconds=10.0, caught_up_seconds=2.0, checkpoint_seconds=0.2, idle_poll_seconds=0.5)
WEATHER = Behaviour(
    publication_seconds=0.5,
    listing_late_seconds=2.0,
    closing_late_seconds=2.0,
    empty_page=0.1,
    page_records=8,
    rollover_seconds=0.0,
)


def sinks_of(
    *tempers: Temper, keeps: tuple[bool, ...] = (False, True, False), poison: tuple[int, ...] = (0, 0, 0)
) -> tuple[PlannedSink, ...]:
    """`sink0`, `sink1` and so on; the second one is there once."""
    given = (*tempers, *(Temper() for _ in range(3 - len(tempers))))
    return tuple(
        PlannedSink(f"sink{number}", keeps[number], 0, poison[number], temper)
        for number, temper in enumerate(given)
    )


def small_plan(
    seed: int, *, changes: int = 30, writing: float = 4.0, closings: int = 2, items: int = 12, **parts: Any
) -> Plan:
    """One table, one shard at first; three sinks, and nothing goes wrong. `parts` are those of the plan."""
    rng = Random(seed)
    plan = Plan(
        seed,
        QUICK,
        WEATHER,
        1,
        tuple(
            sorted(
                (Write(rng.random() * writing, 0, "put", (rng.randrange(items),)) for _ in range(changes)),
                key=lambda write: write.at,
            )
        ),
        sinks_of(),
        writing,
        reshapes=tuple(
            Reshape(rng.random() * writing, 0, rng.random() < 0.6, rng.random()) for _ in range(closings)
        ),
        redeliver=False,
        drain=120.0,
    )
    return replace(plan, **parts)
