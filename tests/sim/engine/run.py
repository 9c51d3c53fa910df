"""What happens in a run from its beginning to its end."""

from tests.sim.engine.simulation import Simulation
from tests.sim.engine.sink_model import Violation


def plan_writes(simulation: Simulation) -> None:
    """The changes, and the shards' closings, at random times."""
    profile, rng, stream = simulation.profile, simulation.rng, simulation.stream

    def write() -> None:
        stream.write(f"k{rng.randrange(profile.items)}")

    def close() -> None:
        leaves = stream.leaves()
        # Shards roll over after some hours: no open one is older than a record lives.
        leaf = leaves[0] if rng.random() < 0.5 else rng.choice(leaves)
        stream.close(leaf, split=rng.random() < 0.6)

    for _ in range(profile.changes):
        simulation.later(rng.random() * profile.writing, write, outlives=True)
    for _ in range(profile.closings):
        simulation.later(rng.random() * profile.writing, close, outlives=True)
    for at, seconds in profile.jumps:

        def jump(seconds: float = seconds) -> None:
            simulation.jumped += seconds

        simulation.later(at, jump, outlives=True)


def drive(simulation: Simulation) -> None:
    """Writes, crashes, restarts; then drains. Raises `Violation`."""
    profile = simulation.profile
    plan_writes(simulation)
    begin = simulation.time
    crashes = list(profile.crashes)
    stops = [begin + at for at in profile.stops]
    while simulation.time < begin + profile.writing:
        if not simulation.running:
            # Killed, or the source failed on the very first start (2): whoever runs it starts it again.
            simulation.advance(simulation.time + simulation.rng.random() * 2)
            simulation.start(crash_in=crashes.pop(0) if crashes else None)
        until = min([at for at in stops if at > simulation.time] + [begin + profile.writing])
        simulation.advance(until, done=lambda: not simulation.running)
        if simulation.running and until in stops:
            stop_orderly(simulation)
    finish(simulation)


def stop_orderly(simulation: Simulation) -> None:
    simulation.totals.stops += 1
    began = simulation.time
    simulation.stop()
    simulation.advance(simulation.time + 15.0, done=lambda: not simulation.running)
    if simulation.stopped is None:
        if simulation.running:
            raise Violation("does not stop")
        return  # crashed meanwhile
    if simulation.stopped.exit_code != 0:
        raise Violation(f"stopped with {simulation.stopped} after {simulation.time - began:.1f} s")


def finish(simulation: Simulation) -> None:
    """The faults are over: `--until-caught-up` delivers the rest and ends with 0."""
    profile = simulation.profile
    if simulation.running:
        if simulation.rng.random() < 0.5:
            stop_orderly(simulation)
        else:
            simulation.crash()
    outages = [end for temper in profile.tempers for _, end in temper.outages]
    simulation.advance(max([simulation.time, *outages]) + 1.0)
    simulation.calm = True
    simulation.start(until_caught_up=True)
    simulation.advance(simulation.time + profile.drain, done=lambda: not simulation.running)
    if simulation.stopped is None:
        raise Violation("not caught up: " + "; ".join(simulation.lane_states()))
    if simulation.stopped.exit_code != 0:
        raise Violation(f"caught up with {simulation.stopped}")
    check_end(simulation)


def check_end(simulation: Simulation) -> None:
    for destination in simulation.destinations:
        missing = simulation.missing(destination)
        if missing:
            raise Violation(f"{destination.name} misses {len(missing)} changes: {missing[:5]}")
    saved = simulation.state.saved
    if [gap for gap in saved.gaps if not gap.decision]:
        raise Violation(f"a gap where nothing expired: {saved.gaps[0]}")
    for cursor in saved.cursors:
        simulation.check_covered(cursor.sink, cursor.shard, cursor.position)
    simulation.totals.changes = len(simulation.stream.records)
    simulation.totals.splits = simulation.stream.splits
    simulation.totals.duplicates = sum(d.duplicates for d in simulation.destinations)
