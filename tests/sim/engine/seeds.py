"""A seed's profile: what goes wrong in its run, and how much."""

import random
from dataclasses import replace

from cdc.core.world import Settings
from tests.sim.engine.simulation import Profile
from tests.sim.engine.sink_model import Temper
from tests.sim.engine.stream_model import Shape

WRITING = 40.0


def profile_of(seed: int) -> Profile:
    rng = random.Random(f"profile {seed}")
    schemas = random.Random(f"schemas {seed}")
    latest = rng.random() < 0.15
    readers = rng.choice([1, 2, 2])
    retention = rng.choice([1e9, 90.0]) if readers > 1 else 1e9
    settings = Settings(
        start="latest" if latest else "trim-horizon",
        idle_poll_seconds=rng.choice([0.3, 1.0]),
        checkpoint_seconds=rng.choice([0.1, 0.5, 2.0]),
        caught_up_seconds=rng.choice([2.0, 5.0]),
        relist_seconds=rng.choice([5.0, 20.0]),
        readers_per_shard=readers,
        max_unaccepted_bytes=rng.choice([64 * 1024 * 1024, 900]),
        max_undurable_batches=rng.choice([2, 5, 1000]),
        grace_seconds=rng.choice([0.05, 0.25]),
        # A halted sink waits until it is started again, which must not be when its records have expired.
        max_dead_letters_per_minute=random.Random(f"limit {seed}").choice([None, None, 3, 12])
        if retention > 1e6
        else None,
        long_ago_seconds=retention * 23 / 24,
        retention_seconds=retention,
    )
    shape = Shape(
        retention=retention,
        publication=rng.choice([0.1, 1.0]),
        listing_lag=rng.choice([0.1, 3.0]),
        empty_page=rng.choice([0.05, 0.3]),
        page=rng.choice([3, 8, 30]),
        iterator_life=rng.choice([900.0, 900.0, 3.0]),
    )
    return Profile(
        settings=settings,
        shape=shape,
        shards=rng.choice([1, 2, 4]),
        changes=rng.randint(200, 320),
        writing=WRITING,
        closings=rng.randint(2, 8),
        tempers=tuple(replace(_temper(rng), lack_schema=schemas.choice([0.0, 0.02, 0.1])) for _ in range(3)),
        refuses=(rng.choice([0, 23]), 0, rng.choice([0, 31])),
        keeps=(False, True, False),
        source_faults=rng.choice([0.0, 0.02, 0.1]),
        source_latency=rng.choice([0.02, 0.3]),
        save_faults=rng.choice([0.0, 0.2]),
        letter_faults=rng.choice([0.0, 0.3]),
        crashes=tuple(rng.randint(1, 600) for _ in range(rng.randint(1, 3))),
        stops=tuple(rng.random() * WRITING for _ in range(rng.choice([0, 0, 1]))),
        jumps=tuple(
            (rng.random() * WRITING, rng.choice([-3600.0, 20.0, 3600.0]))
            for _ in range(rng.choice([0, 0, 1]))
        )
        if retention > 1e6 and not latest
        else (),
        drain=240.0 if readers > 1 else 600.0,
        new_sink_at=rng.choice([0, 0, 3]) if not latest else 0,
        poison=_poison(seed, retention),
    )


def _poison(seed: int, retention: float) -> tuple[int, int, int]:
    """Dice of its own: what else happens in a seed stays as it was. Where records live for a minute and a half, no more
    than there is time for: each costs some calls."""
    rng = random.Random(f"poison {seed}")
    if retention < 1e6:
        return (0, rng.choice([0, 131]), 0)
    return (rng.choice([0, 0, 19]), rng.choice([0, 29, 61]), rng.choice([0, 0, 43]))


def _temper(rng: random.Random) -> Temper:
    begin = 1000.0 + rng.random() * WRITING
    return Temper(
        accept=rng.choice([0.01, 0.1, 1.0]),
        commit=rng.choice([0.01, 0.3, 2.0]),
        refuse_write=rng.choice([0.0, 0.0, 0.02]),
        fail_commit=rng.choice([0.0, 0.0, 0.05]),
        lose_answer=rng.choice([0.0, 0.5]),
        fail_open=rng.choice([0.0, 0.3]),
        fail_claim=rng.choice([0.0, 0.1]),
        outages=((begin, begin + rng.choice([2.0, 15.0])),) if rng.random() < 0.4 else (),
        hangs=rng.random() < 0.3,
        refuse_late=random.Random(begin).choice([0.0, 0.5, 1.0]),
    )
