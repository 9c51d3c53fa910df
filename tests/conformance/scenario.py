"""A scenario is a function of a trial and a case; `conformance` makes a test of it for each subject and case."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import pytest

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.expected import NAIVE
from tests.conformance.naive.subject import NaiveLoop
from tests.conformance.oracle import Violation
from tests.conformance.service import Service
from tests.conformance.subject import Options, Subject
from tests.conformance.world import Destination, World

SUBJECTS: dict[str, Callable[[World, Options], Subject]] = {"service": Service, "naive": NaiveLoop}


@dataclass(frozen=True, slots=True)
class Trial:
    """One subject's run through one case."""

    make: Callable[[World, Options], Subject]

    def world(
        self,
        *,
        seed: int = 0,
        behaviour: Behaviour | None = None,
        destinations: Sequence[Destination] | None = None,
        create: bool = True,
    ) -> World:
        return World(seed=seed, behaviour=behaviour, destinations=destinations, create=create)

    def subject(self, world: World, options: Options | None = None) -> Subject:
        """Not started."""
        return self.make(world, options or Options())


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
        for subject, case in product(SUBJECTS, cases)
        if subject == "service" or NAIVE[number][case] is not None
    ]

    def decorate(scenario: Scenario) -> Callable[[str, str], None]:
        def test(subject: str, case: str) -> None:
            trial = Trial(SUBJECTS[subject])
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
