"""What happens, in order."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cdc.demo.corruption import one_wrong_digit
from cdc.demo.dynamodb import REPLICA_REGION, SOURCE_REGION, TABLE
from cdc.demo.orders import FOLLOWED, FOLLOWED_TAGS, FOLLOWED_TOTAL
from cdc.demo.parts import BUS, LAKE, REPLICA, Parts
from cdc.demo.proof import Verdict, Written
from cdc.demo.screen import Screen
from cdc.demo.values import item
from cdc.demo.worker import SinkFigures

_LOOK_SECONDS = 0.2
_PHASE_SECONDS = 60.0
_STALL_SECONDS = 20.0
"""How long the sinks may get no nearer to the end before the demonstration gives up and shows what is missing."""

_KILLS = (0.2, 0.45)
_STOP, _RESTART = 0.65, 0.85
"""When, as shares of all changes."""
_SHOWN_LAG_SECONDS = 3.0
_SHOWN_FINDINGS = 5


class StoryError(Exception):
    """Something did not come about in time."""


class Story:
    """
    Args:
        parts: started; the worker is not running yet.
        events: how many changes to make.
    """

    def __init__(self, screen: Screen, parts: Parts, events: int) -> None:
        self._screen = screen
        self._parts = parts
        self._events = events

    def tell(self) -> bool:
        """Whether every sink agrees with the source, and the check notices damage."""
        self._introduce()
        self._parts.worker.start()
        self._screen.say(f"`cdc run` answers, process {self._parts.worker.pid}")
        self._follow_one_order()
        self._parts.writer.start()
        for number, share in enumerate(_KILLS, start=1):
            self._kill_under_load(number, share)
        self._stop_a_sink()
        self._finish_the_load()
        written = self._parts.history()
        self._wait_until_delivered(written)
        self._end_worker()
        return self._prove(written) and self._damage(written)

    def _introduce(self) -> None:
        say = self._screen.say
        self._screen.title("What is here")
        say(f"DynamoDB: moto, in a thread: table {TABLE} in {SOURCE_REGION}, its replica in {REPLICA_REGION}")
        say("Kafka: librdkafka's embedded cluster. It is a test cluster, and delivery to it is at least once")
        say(
            f"lake: Avro files in a folder; state: SQLite. Sinks: {BUS} (kafka), {LAKE} (lake), {REPLICA} (replica)"
        )

    def _follow_one_order(self) -> None:
        self._screen.title("One order, followed")
        self._parts.writer.place_followed()
        expected = item(self._parts.writer.requests[0].after or {})
        began = time.monotonic()
        missing = [BUS, LAKE, REPLICA]
        self._screen.say(f"written:  total {FOLLOWED_TOTAL}, tags {sorted(FOLLOWED_TAGS)}")

        def look(_: Sequence[SinkFigures]) -> bool:
            for sink in list(missing):
                found = self._parts.sighting(sink, FOLLOWED)
                if found is None:
                    continue
                missing.remove(sink)
                if found != expected:
                    raise StoryError(f"{sink} has another order {FOLLOWED.order} than was written")
                self._screen.good(
                    f"at {sink + ',':5} total {found['total'][1]}, tags {sorted(found['tags'][1])}, "
                    f"after {time.monotonic() - began:.1f} s"
                )
            return not missing

        self._watch(look, "the order at every sink")

    def _kill_under_load(self, number: int, share: float) -> None:
        worker, writer = self._parts.worker, self._parts.writer
        if number == 1:
            self._screen.title(f"{self._events} changes, and a worker that is killed")
        at = int(self._events * share)
        writer.allow(at + (self._events - at) // 4)
        self._watch(lambda _: writer.written >= at, f"{at} changes")
        pid = worker.pid
        worker.kill()
        self._screen.new_process()
        self._screen.bad(f"kill -9 {pid}, at {writer.written} changes")
        began = time.monotonic()
        worker.start()
        self._screen.say(
            f"`cdc run` again, process {worker.pid}: the lease of the dead one is taken over; it answers after "
            f"{time.monotonic() - began:.1f} s, at {writer.written} changes"
        )
        self._watch(
            lambda sinks: bool(sinks) and all(sink.is_up and sink.delivered for sink in sinks),
            "every sink at work",
        )
        self._screen.good(f"every sink delivers again, {time.monotonic() - began:.1f} s after the kill")

    def _stop_a_sink(self) -> None:
        parts, writer = self._parts, self._parts.writer
        self._screen.title("One sink stops, the others go on")
        writer.allow(int(self._events * _RESTART))
        self._watch(lambda _: writer.written >= self._events * _STOP, "the load")
        parts.replica_endpoint.stop()
        self._screen.bad(f"{REPLICA}: its endpoint takes no connections any more")
        before: dict[str, int] = {}

        def look(sinks: Sequence[SinkFigures]) -> bool:
            late = {sink.name: sink for sink in sinks}
            if not before:
                before.update({name: sink.delivered for name, sink in late.items()})
                return False
            lag = {name: sink.lag_seconds or 0.0 for name, sink in late.items()}
            others = (BUS, LAKE)
            return (
                lag[REPLICA] >= _SHOWN_LAG_SECONDS
                and all(lag[name] < _SHOWN_LAG_SECONDS and late[name].is_up for name in others)
                and all(late[name].delivered > before[name] for name in others)
            )

        figures = self._watch(look, f"{REPLICA} late and the others in time")
        lags = ", ".join(f"{sink.name} {sink.lag_seconds or 0:.1f} s" for sink in figures)
        self._screen.good(f"the others stay up. Lag: {lags}")
        self._watch(lambda _: writer.written >= int(self._events * _RESTART), "the load")
        parts.replica_endpoint.start()
        self._screen.say(f"{REPLICA}: its endpoint answers again")
        began = time.monotonic()
        writer.allow(self._events)
        self._watch(
            lambda sinks: any(s.name == REPLICA and s.is_up and (s.lag_seconds or 0.0) < 1.0 for s in sinks),
            f"{REPLICA} caught up",
        )
        self._screen.good(f"{REPLICA} has caught up, {time.monotonic() - began:.1f} s later")

    def _finish_the_load(self) -> None:
        self._parts.writer.allow(self._events)
        self._watch(lambda _: self._parts.writer.written >= self._events, "the load")
        self._screen.say(f"all {self._events} changes are written")

    def _wait_until_delivered(self, written: Sequence[Written]) -> None:
        """The readers decide, not the figures of the process."""
        best, since = -1, time.monotonic()
        while time.monotonic() - since < _STALL_SECONDS:
            verdicts = self._parts.prove(written)
            if all(verdict.agrees for verdict in verdicts):
                return
            if (delivered := sum(verdict.delivered - verdict.mismatched for verdict in verdicts)) > best:
                best, since = delivered, time.monotonic()
            self._screen.show(self._parts.worker.figures(), written=len(written))
            time.sleep(_LOOK_SECONDS)

    def _end_worker(self) -> None:
        code = self._parts.worker.stop()
        self._screen.end_live()
        if code:
            raise StoryError(f"SIGTERM ended `cdc run` with {code} and not with 0")
        self._screen.say("SIGTERM: `cdc run` ended with 0")

    def _prove(self, written: Sequence[Written]) -> bool:
        self._screen.title("The proof")
        self._screen.say(
            "read back with plain clients: every message decoded and folded by key, every file, every item; numbers by "
            "value, sets as sets"
        )
        verdicts = self._parts.prove(written)
        self._screen.verdicts(verdicts)
        for verdict in verdicts:
            self._findings(verdict)
        agrees = all(verdict.agrees for verdict in verdicts)
        if agrees:
            self._screen.good("nothing lost, nothing different; what came twice after a kill came in order")
        else:
            self._screen.bad("the sinks and the source do NOT agree")
        return agrees

    def _damage(self, written: Sequence[Written]) -> bool:
        self._screen.title("Would the proof notice?")
        with one_wrong_digit(self._parts.lake) as path:
            self._screen.say(
                f"on purpose: one digit of order {FOLLOWED.order}'s total changed, in {_short(path, self._parts.lake)}"
            )
            verdict = self._parts.prove_lake(written)
        self._screen.verdicts([verdict])
        self._findings(verdict)
        noticed = verdict.mismatched == 1 and not verdict.lost
        if noticed:
            self._screen.good("it does: exactly that row is reported. The file is as it was again")
        else:
            self._screen.bad("it does NOT: its answer is worth nothing")
        return noticed

    def _findings(self, verdict: Verdict) -> None:
        for finding in verdict.findings[:_SHOWN_FINDINGS]:
            self._screen.say(f"{verdict.sink}: {finding}")
        if (more := len(verdict.findings) - _SHOWN_FINDINGS) > 0:
            self._screen.say(f"{verdict.sink}: and {more} more")

    def _watch(self, until: Callable[[Sequence[SinkFigures]], bool], what: str) -> Sequence[SinkFigures]:
        """Shows the figures until something is so, and returns those of that moment."""
        deadline = time.monotonic() + _PHASE_SECONDS
        while True:
            figures = self._parts.worker.figures()
            self._screen.show(figures, written=self._parts.writer.written)
            if until(figures):
                return figures
            if time.monotonic() > deadline:
                raise StoryError(f"not seen in {_PHASE_SECONDS:.0f} s: {what}")
            time.sleep(_LOOK_SECONDS)


def _short(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
