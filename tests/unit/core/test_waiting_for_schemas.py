"""A shard whose schema the registry does not give waits alone: its sink and the other shards go on."""

import pytest

from cdc.core import messages as m
from cdc.core.lineage import LaneState
from cdc.core.status import status
from cdc.core.world import Settings, SinkState
from cdc.errors import ErrorKind, RegistryError
from cdc.model import after
from cdc.observe.health import Health, readiness
from tests.unit.core.script import Script, change, key, sequences, shard

HELD = (
    ErrorKind.UNAVAILABLE,
    ErrorKind.THROTTLED,
    ErrorKind.ACCESS_DENIED,
    ErrorKind.NOT_FOUND,
    ErrorKind.MALFORMED,
)
HALTED = (ErrorKind.UNENCODABLE, ErrorKind.INVALID_REQUEST)


def flowing(*numbers: int, settings: Settings | None = None) -> Script:
    script = Script(settings=settings)
    script.flow(*(shard(number) for number in numbers))
    return script


def offer(script: Script, **numbers: int) -> dict[str, m.Write]:
    """Answers what is read, with these changes (`one=3`: a page of shard 1 with the change 3); by shard what is given."""
    wanted = {key({"one": 1, "two": 2}[name]): number for name, number in numbers.items()}
    script.open_iterators()
    for read in script.new(m.Read):
        number = wanted.get(read.reader.shard)
        script.page(read, *([change(number)] if number is not None else []))
    return {write.batch.shard.shard: write for write in script.new(m.Write)}


def refuse(script: Script, write: m.Write, kind: ErrorKind = ErrorKind.UNAVAILABLE) -> None:
    error = RegistryError(kind, "no registry", remedy="start it")
    script.send(m.WriteFailed(write.sink, write.batch.shard, write.id, error))


def finish(script: Script, write: m.Write) -> None:
    script.accept(write)
    script.durable(write)


@pytest.mark.parametrize("kind", HELD)
def test_the_other_shards_of_the_sink_go_on(kind: ErrorKind) -> None:
    script = flowing(1, 2)
    given = offer(script, one=1, two=1)
    refuse(script, given["shard-1"], kind)
    finish(script, given["shard-2"])
    for number in (2, 3, 4):
        given = offer(script, one=1, two=number)
        assert sequences(given["shard-2"]) == [number]
        finish(script, given["shard-2"])
        assert "shard-1" not in given, "it waits"
    assert script.lane(2).tracker.durable == after("4")
    assert script.engine.world.sinks["a"].state is SinkState.UP
    assert "sink-down" not in script.notices()
    assert "shard-waits" in script.notices()


def test_it_is_tried_again_later_and_later_and_arrives() -> None:
    script = flowing(1)
    waits = []
    for _ in range(6):
        write = offer(script, one=7)["shard-1"]
        assert sequences(write) == [7]
        refuse(script, write)
        began = script.now.monotonic
        while not any(
            isinstance(command, m.Read | m.OpenIterator)
            for command in script.sent[script.sent.index(write) :]
        ):
            script.wait(0.1)
            assert script.now.monotonic < began + 40
        waits.append(script.now.monotonic - began)
    assert waits == sorted(waits)
    assert waits[-1] > 8 * waits[0]
    finish(script, offer(script, one=7)["shard-1"])
    assert script.lane(1).hold is None
    assert script.lane(1).tracker.durable == after("7")


def test_that_it_waits_is_seen_and_over_when_it_is_given() -> None:
    script = flowing(1, 2)
    refuse(script, offer(script, one=1)["shard-1"])

    def ready() -> Health:
        return readiness(status(script.engine.world), tables=["orders"], sinks=["a"])

    assert ready() == Health(ok=False, reasons=("sink a: shards wait: no registry",))
    waiting = {lane.shard: (lane.waits_for, lane.remedy) for lane in status(script.engine.world).lanes}
    assert waiting == {"shard-1": ("no registry", "start it"), "shard-2": ("", "")}
    script.wait(2.0)
    script.accept(offer(script, one=1)["shard-1"])
    assert ready().ok


def test_what_the_sink_had_before_stays_and_becomes_durable() -> None:
    script = flowing(1)
    first = offer(script, one=1)["shard-1"]
    script.accept(first)
    refuse(script, offer(script, one=2)["shard-1"])
    script.durable(first)
    assert script.lane(1).tracker.durable == after("1")
    script.wait(2.0)
    assert sequences(offer(script, one=2)["shard-1"]) == [2]


@pytest.mark.parametrize("kind", HALTED)
def test_what_the_registry_refuses_halts_this_shard(kind: ErrorKind) -> None:
    script = flowing(1, 2)
    refuse(script, offer(script, one=1)["shard-1"], kind)
    assert script.lane(1).state is LaneState.HALTED
    assert script.lane(1).remedy == "start it"
    assert script.lane(2).state is LaneState.FLOWING


def test_another_registry_ends_the_process() -> None:
    script = flowing(1)
    refuse(script, offer(script, one=1)["shard-1"], ErrorKind.CONFIGURATION)
    assert script.stopped is not None
    assert script.stopped.exit_code == 2


def test_until_caught_up_it_is_not_waited_for_without_end() -> None:
    script = flowing(1, settings=Settings(until_caught_up=True, stalled_seconds=60.0))
    began = script.now.monotonic
    while script.stopped is None and script.now.monotonic < began + 300:
        for write in offer(script, one=1).values():
            refuse(script, write)
        script.save()
        script.wait(0.5)
    assert script.stopped is not None
    assert script.stopped.exit_code == 1
    assert "no registry" in script.stopped.reason
    assert script.stopped.remedy == "start it"
    assert script.now.monotonic - began < 150


def test_what_is_learnt_is_saved() -> None:
    script = flowing(1)
    script.send(m.Learnt({"schema.registry.id.x": "1"}))
    script.wait(0.1)
    assert {"schema.registry.id.x": "1"} in [save.change.settings for save in script.save()]
