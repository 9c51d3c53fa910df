"""A seed's plan: what goes wrong in its run, and how much. Each concern has dice of its own."""

from dataclasses import replace
from random import Random

from cdc.core.world import Settings
from cdc.testing.sim.behaviour import Behaviour
from tests.sim.engine.dice import Dice
from tests.sim.engine.plan import (
    Jump,
    Plan,
    PlannedSink,
    Reshape,
    SourceFaults,
    Suspension,
    Write,
    WriteKind,
)
from tests.sim.engine.process import Doom, Troubles
from tests.sim.engine.sink import Temper
from tests.sim.engine.virtual_time import BEGIN

DAY = 24 * 3600.0
_MOST_FOR_PAGES = 0.05
_KINDS: tuple[WriteKind, ...] = ("put",) * 6 + ("update",) * 3 + ("delete", "transact")


def plan_of(seed: int) -> Plan:
    dice = Dice(seed)
    drawn = dice.of("length of a day").random()
    if drawn < 0.08:
        return _real_day(seed, dice)
    return _too_long(seed, dice) if drawn < 0.24 else _short_day(seed, dice)


def _short_day(seed: int, dice: Dice) -> Plan:
    rng = dice.of("profile")
    writing = rng.choice([80.0, 120.0, 160.0])
    readers = rng.choice([1, 2, 2, 2])
    latest = rng.random() < 0.12
    day = rng.choice([DAY, 300.0]) if readers > 1 else DAY
    tables = rng.choice([1, 1, 1, 2])
    jumping = day == DAY and not latest and rng.random() < 0.2
    behaviour = Behaviour(
        partitions=rng.choice([1, 2, 3]),
        retention_seconds=day,
        trim_late_seconds=rng.choice([0.0, day / 20]),
        rollover_seconds=rng.choice([0.0, writing / 2.5, writing / 4]),
        rollover_records=rng.choice([0, 0, 90]),
        publication_seconds=rng.choice([0.0, 0.1, 1.0]),
        listing_late_seconds=rng.choice([0.0, 0.5, 3.0]),
        closing_late_seconds=rng.choice([0.0, 0.5, 3.0]),
        gone_early=rng.choice([0.0, 0.5]),
        empty_page=rng.choice([0.0, 0.05, 0.3]),
        latest_slack_records=rng.choice([0, 2]),
        iterator_seconds=rng.choice([900.0, 900.0, 15.0]),
        page_records=rng.choice([8, 30, 1000]),
        page_bytes=rng.choice([1024 * 1024, 1024 * 1024, 4000]),
        listing_shards=rng.choice([100, 2]),
        filters_shards=rng.random() < 0.9,
        transactions_out_of_order=rng.choice([0.0, 0.5]),
    )
    settings = Settings(
        start="latest" if latest else "trim-horizon",
        idle_poll_seconds=rng.choice([0.5, 1.0, 3.0]),
        checkpoint_seconds=rng.choice([0.2, 1.0, 3.0]),
        caught_up_seconds=rng.choice([2.0, 5.0]),
        relist_seconds=rng.choice([5.0, 20.0]),
        readers_per_shard=readers,
        max_unaccepted_bytes=rng.choice([64 * 1024 * 1024, 64 * 1024 * 1024, 3000]),
        max_undurable_batches=rng.choice([2, 5, 1000]),
        grace_seconds=rng.choice([0.05, 0.25]),
        # A halted sink waits until it is started again, which must not be when its records have expired.
        max_dead_letters_per_minute=rng.choice([None, None, 6, 20]) if day == DAY else None,
        long_ago_seconds=day * 23 / 24,
        retention_seconds=day,
    )
    faults = dice.of("faults")
    source_faults = _source_faults(faults)
    if source_faults.trouble > _MOST_FOR_PAGES:
        # Of many pages one would fail nearly always.
        behaviour = replace(behaviour, listing_shards=100)
    return Plan(
        seed,
        settings,
        behaviour,
        tables,
        _writes(dice.of("writes"), tables, writing),
        _sinks(dice, writing, readers, day, new=not latest),
        writing,
        reshapes=_reshapes(dice.of("reshapes"), tables, writing, at_least=3),
        troubles=Troubles(
            source_latency=faults.choice([0.02, 0.3]),
            save_faults=faults.choice([0.0, 0.2]),
            letter_faults=faults.choice([0.0, 0.3]),
        ),
        source_faults=source_faults,
        dooms=_dooms(dice.of("crashes")),
        stops=_times(dice.of("stops"), writing, [0, 0, 1]),
        suspensions=() if jumping else _suspensions(dice.of("suspensions"), writing),
        jumps=_jumps(dice.of("jumps"), writing) if jumping else (),
        new_sink_at=3,
        drain=300.0 if readers > 1 else 900.0,
    )


def _real_day(seed: int, dice: Dice) -> Plan:
    """Hours of a table with little to do: real rollovers, a real retention."""
    short = _short_day(seed, dice)
    rng = dice.of("real day")
    writing = 13 * 3600.0
    slower = writing / short.writing
    settings = replace(
        short.settings,
        idle_poll_seconds=rng.choice([60.0, 120.0]),
        relist_seconds=600.0,
        checkpoint_seconds=rng.choice([1.0, 30.0]),
        caught_up_seconds=200.0,
        stalled_seconds=900.0,
        readers_per_shard=2,
        long_ago_seconds=23 * 3600.0,
        retention_seconds=DAY,
        start="trim-horizon",
    )
    behaviour = replace(
        short.behaviour,
        partitions=1,
        retention_seconds=DAY,
        trim_late_seconds=600.0,
        rollover_seconds=4 * 3600.0,
        rollover_records=0,
        iterator_seconds=900.0,
    )

    def slow(temper: Temper) -> Temper:
        outages = tuple(
            (BEGIN + (begin - BEGIN) * slower, BEGIN + (end - BEGIN) * slower)
            for begin, end in temper.outages
        )
        return replace(temper, outages=outages)

    return replace(
        short,
        settings=settings,
        behaviour=behaviour,
        tables=1,
        writes=tuple(replace(write, at=write.at * slower, table=0) for write in short.writes),
        reshapes=tuple(replace(one, at=one.at * slower, table=0) for one in short.reshapes),
        sinks=tuple(
            replace(sink, temper=slow(sink.temper), late_after=900.0 if sink.late_after is not None else None)
            for sink in short.sinks
        ),
        writing=writing,
        stops=tuple(at * slower for at in short.stops),
        suspensions=tuple(replace(one, at=one.at * slower) for one in short.suspensions),
        jumps=(),
        downtime=1800.0,
        drain=4 * 3600.0,
    )


def _too_long(seed: int, dice: Dice) -> Plan:
    """Records live for a hundred seconds, and somebody is away for longer: everybody, or a sink."""
    short = _short_day(seed, dice)
    rng = dice.of("too long")
    day, writing = 100.0, 260.0
    at = 20.0 + rng.random() * 100.0
    seconds = day + rng.choice([5.0, 30.0])
    all_away = rng.random() < 0.5
    slower = writing / short.writing

    def away(sink: PlannedSink) -> PlannedSink:
        if sink.late_after is not None or sink.name == "sink0":
            return replace(sink, late_after=None if all_away else sink.late_after)
        outage = (BEGIN + at, BEGIN + at + seconds)
        return replace(sink, poison=0, temper=replace(sink.temper, outages=() if all_away else (outage,)))

    return replace(
        short,
        settings=replace(
            short.settings,
            on_gap=rng.choice(["skip", "snapshot"]),
            readers_per_shard=2,
            long_ago_seconds=day * 23 / 24,
            retention_seconds=day,
            max_dead_letters_per_minute=None,
        ),
        behaviour=replace(
            short.behaviour,
            retention_seconds=day,
            trim_late_seconds=rng.choice([0.0, 10.0]),
            rollover_seconds=rng.choice([0.0, 45.0]),
        ),
        writes=tuple(replace(write, at=write.at * slower) for write in short.writes),
        reshapes=tuple(replace(one, at=one.at * slower) for one in short.reshapes),
        sinks=tuple(away(sink) for sink in short.sinks),
        writing=writing,
        jumps=(),
        absence=(at, seconds) if all_away else None,
        gaps=True,
        drain=400.0,
    )


def _writes(rng: Random, tables: int, writing: float) -> tuple[Write, ...]:
    """At least 520 changes."""
    items = rng.choice([6, 20, 60])
    present: set[tuple[int, int]] = set()
    writes = []
    times = sorted(rng.random() * writing for _ in range(rng.randint(520, 640)))
    bursts = rng.random() < 0.4
    for at in times:
        table, item = rng.randrange(tables), rng.randrange(items)
        if bursts:
            at = round(at / writing * 12) / 12 * writing * 0.99 + rng.random()  # noqa: PLW2901
        kind = rng.choice(_KINDS)
        if kind == "delete" and (table, item) not in present:
            kind = "put"
        (present.discard if kind == "delete" else present.add)((table, item))
        chosen: tuple[int, ...] = (item,)
        if kind == "transact":
            chosen = (item, *rng.sample([one for one in range(items) if one != item], rng.randint(1, 3)))
            present.update((table, one) for one in chosen)
        writes.append(Write(at, table, kind, chosen))
    return tuple(sorted(writes, key=lambda write: write.at))


def _sinks(dice: Dice, writing: float, readers: int, day: float, *, new: bool) -> tuple[PlannedSink, ...]:
    rng = dice.of("sinks")
    count = rng.choice([2, 3, 3])
    well = rng.randrange(count) if rng.random() < 0.7 else None
    sinks = []
    for number in range(count):
        own = dice.of(f"plan of sink {number}")
        keeps = number == 1
        # The first one, at least once, is to have something that may come again: it is never away for most of a run.
        longest = min(writing, day / 3) if number else writing / 4
        temper = _temper(own, writing, longest)
        refuses = own.choice([0, 0, 23]) if not keeps else 0
        poison = own.choice([0, 0, 29, 61]) if day == DAY else 0
        late_after = None
        if number == well:
            temper = Temper(accept=own.choice([0.01, 0.1]), commit=own.choice([0.01, 0.3]))
            poison = refuses = 0
            late_after = 50.0 if readers > 1 else 150.0
        elif well is not None and keeps and rng.random() < 0.6:
            # The others have to go on without it, also at a shard's end.
            begin = BEGIN + (0.1 + rng.random() * 0.2) * writing
            temper = replace(temper, outages=((begin, begin + min(0.7 * writing, day / 3)),))
        is_new = new and number == count - 1 and number != well and own.random() < 0.25
        sinks.append(PlannedSink(f"sink{number}", keeps, refuses, poison, temper, is_new, late_after))
    return tuple(sinks)


def _temper(rng: Random, writing: float, longest: float) -> Temper:
    begin = BEGIN + rng.random() * writing
    return Temper(
        accept=rng.choice([0.01, 0.1, 1.0]),
        commit=rng.choice([0.01, 0.3, 2.0]),
        refuse_write=rng.choice([0.0, 0.0, 0.02]),
        lack_schema=rng.choice([0.0, 0.02, 0.1]),
        fail_commit=rng.choice([0.0, 0.0, 0.05]),
        lose_answer=rng.choice([0.0, 0.5]),
        fail_open=rng.choice([0.0, 0.3]),
        fail_claim=rng.choice([0.0, 0.1]),
        outages=((begin, begin + rng.choice([2.0, 15.0, longest])),) if rng.random() < 0.5 else (),
        hangs=rng.random() < 0.3,
        refuse_late=rng.choice([0.0, 0.5, 1.0]),
    )


def _source_faults(rng: Random) -> SourceFaults:
    trouble = rng.choice([0.0, 0.02, 0.1])
    return SourceFaults(
        trouble,
        lost=rng.choice([0.0, 0.5]),
        damaged=trouble / 10,
        expired=rng.choice([0.0, 0.005]),
    )


def _reshapes(rng: Random, tables: int, writing: float, *, at_least: int) -> tuple[Reshape, ...]:
    return tuple(
        Reshape(rng.random() * writing, rng.randrange(tables), rng.random() < 0.6, rng.random())
        for _ in range(rng.randint(at_least, 5))
    )


def _dooms(rng: Random) -> tuple[Doom, ...]:
    return tuple(
        Doom(int(10 ** (0.3 + rng.random() * 2.7)), at_save=rng.random() < 0.3)
        for _ in range(rng.randint(1, 3))
    )


def _times(rng: Random, writing: float, counts: list[int]) -> tuple[float, ...]:
    return tuple(sorted(rng.random() * writing for _ in range(rng.choice(counts))))


def _suspensions(rng: Random, writing: float) -> tuple[Suspension, ...]:
    if rng.random() < 0.5:
        return ()
    at = (0.1 + rng.random() * 0.6) * writing
    return (Suspension(at, rng.choice([4.0, 22.0, 30.0]), looks_at_clock=rng.random() < 0.3),)


def _jumps(rng: Random, writing: float) -> tuple[Jump, ...]:
    return (Jump(rng.random() * writing, rng.choice([-3600.0, 20.0, 3600.0])),)
