import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.core import policy
from cdc.core.policy import Action
from cdc.errors import ErrorKind, SinkError

UNEXPECTED = {
    "source": {
        ErrorKind.REJECTED,
        ErrorKind.UNENCODABLE,
        ErrorKind.FENCED,
        ErrorKind.NOT_OWNER,
        ErrorKind.STATE_FORMAT,
    },
    "sink": {ErrorKind.ITERATOR_EXPIRED, ErrorKind.TRIMMED, ErrorKind.NOT_OWNER, ErrorKind.STATE_FORMAT},
    "schemas": {
        ErrorKind.ITERATOR_EXPIRED,
        ErrorKind.TRIMMED,
        ErrorKind.REJECTED,
        ErrorKind.FENCED,
        ErrorKind.NOT_OWNER,
    },
    "state": set(ErrorKind)
    - {
        ErrorKind.UNAVAILABLE,
        ErrorKind.THROTTLED,
        ErrorKind.ACCESS_DENIED,
        ErrorKind.CONFIGURATION,
        ErrorKind.STATE_FORMAT,
        ErrorKind.NOT_FOUND,
        ErrorKind.NOT_OWNER,
    },
}
"""What that side never says: the process ends."""

TABLES = {"source": policy.SOURCE, "sink": policy.SINK, "schemas": policy.SCHEMAS, "state": policy.STATE}


@pytest.mark.parametrize("side", TABLES)
@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_a_rule_or_ends_the_process(side: str, kind: ErrorKind) -> None:
    assert (kind in TABLES[side]) == (kind not in UNEXPECTED[side])
    rule = policy.rule(TABLES[side], SinkError(kind, "x"))
    if kind in UNEXPECTED[side]:
        assert rule.action is Action.HALT_PIPELINE
    if rule.action is not Action.REOPEN:
        assert rule.remedy, "every halt and every retry names a remedy"


def test_the_errors_own_remedy_is_the_better_one() -> None:
    error = SinkError(ErrorKind.UNAVAILABLE, "x", remedy="plug it in")
    assert policy.rule(policy.SINK, error) == policy.Rule(Action.RETRY, "plug it in")


def test_losing_is_never_a_retry() -> None:
    for kind in (ErrorKind.TRIMMED, ErrorKind.NOT_FOUND):
        assert policy.SOURCE[kind].action is Action.GAP
    assert policy.SINK[ErrorKind.FENCED].action is Action.HALT_PIPELINE


@given(st.integers(1, 10_000), st.text(max_size=20))
def test_backing_off_grows_to_its_limit_and_is_the_same_again(failures: int, salt: str) -> None:
    seconds = policy.backoff(failures, salt=salt)
    assert seconds == policy.backoff(failures, salt=salt)
    full = min(30.0, 0.5 * 2.0 ** min(failures - 1, 16))
    assert 0.75 * full <= seconds <= full


def test_a_thousand_shards_do_not_come_back_together() -> None:
    times = {policy.backoff(3, salt=f"shardId-{number:020d}") for number in range(1000)}
    assert len(times) > 20
