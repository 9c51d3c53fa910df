"""A scenario is a function of a trial and a case; `conformance` makes a test of it for each subject and case."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import pytest

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.expected import NAIVE
from tests.conformance.naive.subject import NaiveLoop
from tests.conformance.oracle import Violation
from tests.conformance.service import Service
from tests.conformance.subject import Options, Subject
from tests.conformance.world import Destination, World


@dataclass(frozen=True, slots=True)
class Role:
    """A subject, and the weather in which it is tested."""

    make: Callable[[World, Options], Subject]
    rough: bool = False
    """What the scenario leaves open the simulated service does at its worst, and calls fail; else it does it well."""


ROLES = {
    "service": Role(Service),
    "service, rough": Role(Service, rough=True),
    "naive": Role(NaiveLoop),
}

_CALM = Behaviour()


def _rough(calm: Behaviour) -> Behaviour:
    """What a scenario leaves open, at its worst."""
    return replace(
        calm,
        ends_with_records=0.5,
        publication_seconds=calm.publication_seconds or 1.5,
        listing_late_seconds=calm.listing_late_seconds or 6.0,
        closing_late_seconds=calm.closing_late_seconds or 6.0,
        empty_page=calm.empty_page or 0.25,
        latest_slack_records=calm.latest_slack_records or 3,
        stream_seconds=calm.stream_seconds or 5.0,
    )


def _slow() -> Destination:
    """Behind the others most of the time: a shard has two readers."""
    return Destination("archive", accept_seconds=0.7, commit_seconds=2.0)


# Not DescribeTable: a first start that cannot ask for its tables ends with 2.
_FAULTS = {"GetRecords": 0.03, "GetShardIterator": 0.05, "DescribeStream": 0.05}


@dataclass(frozen=True, slots=True)
class Trial:
    """One subject's run through one case."""

    role: Role

    def world(
        self,
        *,
        seed: int = 0,
        behaviour: Behaviour = _CALM,
        destinations: Sequence[Destination] | None = None,
        create: bool = True,
    ) -> World:
        if not self.role.rough:
            return World(seed=seed, behaviour=behaviour, destinations=destinations, create=create)
        made = destinations or [Destination("bus"), Destination("lake", exactly_once=True), _slow()]
        world = World(seed=seed, behaviour=_rough(behaviour), destinations=made, create=create)
        for operation, chance in _FAULTS.items():
            world.sim.control.chance(operation, chance)
        return world

    def subject(self, world: World, options: Options | None = None) -> Subject:
        """Not started."""
        return self.role.make(world, options or Options())


Scenario = Callable[[Trial, str], None]

CASES: dict[int, list[str]] = {}
"""Of the scenarios whose modules are imported."""


def conformance(number: int, *cases: str) -> Callable[[Scenario], Callable[[str, str], None]]:
    """Makes the decorated function the test of this scenario's cases, for each subject.

    The service passes every case. Where `expected.NAIVE` says so, the naive loop fails it by a `Violation` of exactly
    those kinds; where it says nothing, it passes too.
    """
    CASES.setdefault(number, []).extend(cases)
    asked = [
        (subject, case)
        for subject, case in product(ROLES, cases)
        if subject != "naive" or NAIVE[number][case] is not None
    ]

    def decorate(scenario: Scenario) -> Callable[[str, str], None]:
        def test(subject: str, case: str) -> None:
            trial = Trial(ROLES[subject])
            kinds = NAIVE[number][case] if subject == "naive" else None
            if not kinds:
                scenario(trial, case)
                return
            with pytest.raises(Violation, match="|".join(kinds)) as caught:
                scenario(trial, case)
            assert caught.value.kinds == kinds, str(caught.value)

        test.__name__, test.__doc__, test.__module__ = (
            scenario.__name__,
            scenario.__doc__,
            scenario.__module__,
        )
        return pytest.mark.parametrize(("subject", "case"), asked)(test)

    return decorate
