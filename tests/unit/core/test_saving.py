from itertools import pairwise

from cdc.core import messages as m
from cdc.core.engine import Engine
from cdc.core.world import Settings
from cdc.errors import ErrorKind
from cdc.model import Place, after
from cdc.ports import Saved, SavedCursor, SavedStart
from tests.unit.core.script import START, STREAM, Script, change, key, shard, state_error


def delivered(*numbers: int, settings: Settings | None = None) -> Script:
    script = Script(settings=settings)
    script.flow(shard(1))
    script.wait(2.0)
    script.save()
    script.read(*numbers)
    script.durable(script.one(m.Write))
    return script


def test_cursors_are_saved_by_time() -> None:
    script = delivered(1, settings=Settings(checkpoint_seconds=1.0))
    assert not script.new(m.Save)
    script.wait(0.9)
    assert not script.new(m.Save)
    script.wait(0.2)
    (cursor,) = script.one(m.Save).change.cursors
    assert cursor.position == after("1")


def test_one_save_at_a_time_and_what_came_meanwhile_with_the_next() -> None:
    script = delivered(1)
    script.wait(1.1)
    first = script.one(m.Save)
    (read,) = script.new(m.Read)
    script.page(read, *[])
    script.wait(5.0)
    assert not script.new(m.Save)
    script.send(m.CursorsSaved(first.change))
    assert script.lane(1).saved


def test_the_end_of_a_shard_is_saved_at_once() -> None:
    script = Script(settings=Settings(checkpoint_seconds=100.0))
    script.flow(shard(1))
    script.save()
    script.read(1, end=True)
    script.durable(script.one(m.Write))
    saves = [cursor for save in script.new(m.Save) for cursor in save.change.cursors]
    assert [cursor.position.place for cursor in saves] == [Place.END]


def test_an_orderly_end_saves_what_is_durable() -> None:
    script = delivered(1, settings=Settings(checkpoint_seconds=100.0))
    script.send(m.StopRequested())
    script.wait(1.0)
    (cursor,) = script.one(m.Save).change.cursors
    assert cursor.position == after("1")
    assert script.stopped is None


def test_a_failed_save_is_put_back_under_what_has_changed_since() -> None:
    script = delivered(1)
    script.wait(1.1)
    first = script.one(m.Save)
    script.read(2)
    script.durable(script.one(m.Write))
    script.send(m.SaveFailed(first.change, state_error()))
    script.wait(1.0)
    (cursor,) = script.one(m.Save).change.cursors
    assert cursor.position == after("2")


def test_failing_saves_are_tried_less_and_less_and_nothing_stops_for_them() -> None:
    script = delivered(1)
    script.wait(1.1)
    times = []
    for _ in range(6):
        (save,) = script.new(m.Save)
        times.append(script.now.monotonic)
        script.send(m.SaveFailed(save.change, state_error()))
        while not any(isinstance(command, m.Save) for command in script.sent[-1:]):
            script.wait(0.05)
            if script.now.monotonic - times[-1] > 20:
                break
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses == sorted(pauses)
    assert script.stopped is None


def test_a_process_that_is_no_owner_any_more_ends() -> None:
    """Scenario 17."""
    script = delivered(1)
    script.wait(1.1)
    script.send(m.SaveFailed(script.one(m.Save).change, state_error(ErrorKind.NOT_OWNER)))
    assert script.stopped is not None
    assert script.stopped.exit_code == 1


def test_what_a_pipeline_began_with_is_saved_once_at_the_start() -> None:
    script = Script()
    script.engine = Engine(Settings(), ["a"], Saved(), {"sink.a.schema": "document"})
    script.send(m.Started())
    assert script.one(m.Save).change.settings == {"sink.a.schema": "document"}


def test_a_lost_start_is_saved_again_and_nothing_is_read_before() -> None:
    script = Script()
    script.send(m.Started())
    script.send(m.SinkOpened("a"))
    script.send(m.StreamsResolved([STREAM]))
    script.listing(shard(1))
    first = script.one(m.Save)
    script.send(m.SaveFailed(first.change, state_error()))
    script.wait(0.5)
    assert not script.new(m.Claim)
    second = script.one(m.Save)
    assert [start.sink for start in second.change.starts] == ["a"]
    script.send(m.CursorsSaved(second.change))
    assert script.one(m.Claim).shards == [key(1)]


def test_an_idle_shard_is_saved_now_and_then_and_not_all_the_time() -> None:
    script = Script(settings=Settings(checkpoint_seconds=1.0))
    script.flow(shard(1))
    script.save()
    saves = 0
    for _ in range(1500):
        script.open_iterators()
        for read in script.new(m.Read):
            script.page(read)
        script.wait(1.0)
        saves += len(script.save())
    assert 2 <= saves <= 4


def test_a_save_makes_nothing_younger_where_nothing_was_read() -> None:
    """Else a process that begins on a shard, and is killed before it has read, hides what expires there."""
    before = START - 20 * 3600.0
    saved = Saved(
        [SavedCursor("a", key(1), after("5"), STREAM.table, False, before)],
        [SavedStart("a", STREAM.arn, STREAM.table, "trim-horizon", before - 3600.0)],
    )
    script = Script(saved=saved)
    script.start(shard(1), shard(2))
    script.claim()
    script.wait(1.0)
    saved_at = {cursor.shard: cursor.saved_at for save in script.save() for cursor in save.change.cursors}
    assert saved_at == {key(2): before}
    script.open_iterators()
    for read in script.new(m.Read):
        script.page(read, change(7))
    for write in script.new(m.Write):
        script.durable(write)
    script.wait(1.0)
    saved_at = {cursor.shard: cursor.saved_at for save in script.save() for cursor in save.change.cursors}
    assert set(saved_at) == {key(1), key(2)}
    assert min(saved_at.values()) >= START
