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
    seed: int | None = None
    """The service that is read behaves at its worst, by this seed; None: as the scenario says, and well otherwise."""


ROLES = {
    "service": Role(Service),
    "service, rough 1": Role(Service, 1),
    "service, rough 2": Role(Service, 2),
    "naive": Role(NaiveLoop),
}

_CALM = Behaviour()
_ROUGH = {
    "publication_seconds": 1.5,
    "listing_late_seconds": 6.0,
    "closing_late_seconds": 6.0,
    "empty_page": 0.25,
    "latest_slack_records": 3,
    "stream_seconds": 5.0,
}
_FAULTS = {"GetRecords": 0.03, "GetShardIterator": 0.05, "DescribeStream": 0.05, "DescribeTable": 0.05}


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
        if self.role.seed is None:
            return World(seed=seed, behaviour=behaviour, destinations=destinations, create=create)
        left = {
            name: value for name, value in _ROUGH.items() if getattr(behaviour, name) == getattr(_CALM, name)
        }
        rough = replace(behaviour, ends_with_records=0.5, **left)
        world = World(
            seed=1000 * self.role.seed + seed, behaviour=rough, destinations=destinations, create=create
        )
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
