import pytest

from connectors.replica.guard import VERSIONED, Request, Seen, Verdict, decide, first_request
from tests.replica.model import VERSIONS

MINE = VERSIONS[5]
ABSENT = Seen(exists=False)
BARE = Seen(exists=True)
OLDER, EQUAL, NEWER = (Seen(exists=True, version=VERSIONS[number]) for number in (4, 5, 6))
OTHER = Seen(exists=True, version="v7")


def test_what_a_change_begins_with() -> None:
    assert first_request(VERSIONED, removed=False, expected=True) == VERSIONED.update
    assert first_request(VERSIONED, removed=False, expected=False) == VERSIONED.insert
    assert first_request(VERSIONED, removed=True, expected=True) == VERSIONED.delete
    assert first_request(VERSIONED, removed=True, expected=False) == VERSIONED.delete


@pytest.mark.parametrize(
    ("request_", "failed", "verdict"),
    [
        (VERSIONED.update, [ABSENT], Verdict.MISSING),
        (VERSIONED.update, [EQUAL], Verdict.APPLIED),
        (VERSIONED.update, [NEWER], Verdict.SUPERSEDED),
        (VERSIONED.update, [OLDER], Verdict.AGAIN),
        (VERSIONED.update, [BARE], Verdict.AGAIN),
        (VERSIONED.update, [OTHER], Verdict.FOREIGN),
        (VERSIONED.insert, [EQUAL, None], Verdict.APPLIED),
        (VERSIONED.insert, [None, NEWER], Verdict.SUPERSEDED),
        (VERSIONED.insert, [OTHER, None], Verdict.FOREIGN),
        (VERSIONED.insert, [OTHER, NEWER], Verdict.SUPERSEDED),
        (
            VERSIONED.insert,
            [ABSENT, None],
            Verdict.SUPERSEDED,
        ),  # an endpoint that does not show what it found
        (VERSIONED.delete, [None, EQUAL], Verdict.APPLIED),
        (VERSIONED.delete, [NEWER, EQUAL], Verdict.SUPERSEDED),
        (VERSIONED.delete, [OLDER, None], Verdict.AGAIN),
        (VERSIONED.delete, [None, None], Verdict.AGAIN),
    ],
)
def test_what_a_failed_condition_means(
    request_: Request, failed: list[Seen | None], verdict: Verdict
) -> None:
    assert decide(request_, MINE, failed) is verdict
