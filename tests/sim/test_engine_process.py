"""The harness itself: a process that is killed, stopped, suspended."""

from dataclasses import replace
from functools import partial

import pytest

from cdc.core import messages as m
from cdc.errors import ErrorKind, StateError
from cdc.testing.sim.service import Sim
from tests.dynamodb_streams.sim_api import source_on
from tests.sim.engine.pipeline import Pipeline, SinkPlan
from tests.sim.engine.process import Doom
from tests.sim.engine.small import QUICK, WEATHER
from tests.sim.engine.virtual_time import VirtualTime

TABLE = "orders"


class Orders:
    """A pipeline with one table, an exactly-once sink and an at-least-once one, and a write every tenth of a second."""

    def __init__(self, writes: int = 100) -> None:
        self.time = VirtualTime()
        self.sim = Sim(now=self.time.service_now, seed=1, behaviour=replace(WEATHER, partitions=2))
        self.sim.call(
            "CreateTable",
            {
                "TableName": TABLE,
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
                "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            },
        )
        for number in range(writes):
            self.time.later(number / 10, partial(self._write, number))
        sinks = [SinkPlan("once", keeps_positions=True), SinkPlan("more")]
        self.pipeline = Pipeline(source_on(self.sim, TABLE), [TABLE], sinks, settings=QUICK, time=self.time)

    def _write(self, number: int) -> None:
        item = {"pk": {"S": f"k{number % 7}"}, "value": {"N": str(number)}}
        self.sim.call("PutItem", {"TableName": TABLE, "Item": item})

    def missing(self, sink: str) -> set[int]:
        return {record.sequence for record in self.sim.log(TABLE)} - {
            delivered.id.sequence for delivered in self.pipeline.delivered(sink)
        }


def test_it_delivers_everything_and_ends_by_itself() -> None:
    orders = Orders()
    orders.pipeline.pass_time(10.0)
    orders.pipeline.start(until_caught_up=True)
    assert orders.pipeline.wait_for_end(60.0) == m.Stop(0, "caught up")
    assert not orders.missing("once")
    assert not orders.missing("more")
    assert not orders.pipeline.saved.gaps


def test_what_was_durable_and_not_saved_comes_again_after_a_kill_but_not_where_it_is_once() -> None:
    orders = Orders()
    orders.pipeline.start(doom=Doom(150, at_save=True))
    orders.pipeline.advance(1030.0, done=lambda: not orders.pipeline.process.alive)
    assert orders.pipeline.process.killed
    orders.pipeline.start(until_caught_up=True)
    assert orders.pipeline.wait_for_end(60.0).exit_code == 0
    assert not orders.missing("once") | orders.missing("more")
    assert orders.pipeline.destinations["once"].duplicates == 0
    assert orders.pipeline.destinations["more"].duplicates > 0


def test_a_stop_serves_nobody_twice() -> None:
    orders = Orders()
    orders.pipeline.start()
    orders.pipeline.pass_time(5.0)
    orders.pipeline.stop()
    assert orders.pipeline.wait_for_end(15.0).exit_code == 0
    orders.pipeline.start()
    orders.pipeline.pass_time(30.0)
    assert not orders.missing("once") | orders.missing("more")
    assert orders.pipeline.destinations["more"].duplicates == 0


@pytest.mark.parametrize("looks_at_clock", [True, False])
def test_a_suspended_owner_that_wakes_saves_nothing(looks_at_clock: bool) -> None:
    orders = Orders()
    first = orders.pipeline.start(looks_at_clock=looks_at_clock)
    orders.pipeline.pass_time(4.0)
    first.pause()
    with pytest.raises(StateError) as refused:
        orders.pipeline.start()
    assert refused.value.kind is ErrorKind.NOT_OWNER
    orders.pipeline.pass_time(16.0)
    second = orders.pipeline.start()
    orders.pipeline.pass_time(2.0)
    first.wake()
    orders.pipeline.pass_time(10.0)
    assert first.stopped is not None
    assert first.stopped.exit_code == 1
    assert second.running
    assert not orders.missing("once") | orders.missing("more")
    assert orders.pipeline.destinations["once"].duplicates == 0
