"""What is done about an error, and what the operator should do: one table for each side.

The general remedies here are printed where the error itself has none that is more exact.
"""

from dataclasses import dataclass
from enum import Enum, auto

from cdc.errors import CdcError, ErrorKind, RegistryError


class Action(Enum):
    RETRY = auto()
    """The same again, later and later."""
    REOPEN = auto()
    """A new iterator after the last record that was read; at once."""
    GAP = auto()
    """Changes are lost to this reader: the shard stops until the operator decides."""
    ISOLATE = auto()
    """The batch is halved until the change that is to blame is found: that one becomes a dead letter."""
    HOLD_SHARD = auto()
    """This shard waits at this sink, and is tried again later and later; the sink and its other shards go on."""
    HALT_SHARD = auto()
    """This shard can't go on; the others do."""
    HALT_PIPELINE = auto()
    """The process ends."""


@dataclass(frozen=True, slots=True)
class Rule:
    action: Action
    remedy: str


_CALLS_IT_WRONG = (
    "a fault of this program or of an incompatible service: report it with the log around this line"
)
_UNDERSTANDS = "look whether the endpoint is a DynamoDB, and whether a proxy in between changes its answers"

SOURCE: dict[ErrorKind, Rule] = {
    ErrorKind.THROTTLED: Rule(Action.RETRY, "raise idle_poll_seconds, or see who else reads this stream"),
    ErrorKind.UNAVAILABLE: Rule(Action.RETRY, "look at the endpoint and at the network between"),
    ErrorKind.MALFORMED: Rule(Action.RETRY, _UNDERSTANDS),
    ErrorKind.ACCESS_DENIED: Rule(
        Action.RETRY, "give or renew the credentials, or allow the streams' actions on this table"
    ),
    ErrorKind.ITERATOR_EXPIRED: Rule(Action.REOPEN, ""),
    ErrorKind.TRIMMED: Rule(
        Action.GAP, "decide with `cdc positions reset`: what expired can only come from the table"
    ),
    ErrorKind.NOT_FOUND: Rule(
        Action.GAP, "decide with `cdc positions reset`: what expired can only come from the table"
    ),
    ErrorKind.INVALID_REQUEST: Rule(Action.HALT_SHARD, _CALLS_IT_WRONG),
    ErrorKind.CONFIGURATION: Rule(Action.HALT_PIPELINE, "mend the configuration and start again"),
}

SINK: dict[ErrorKind, Rule] = {
    ErrorKind.THROTTLED: Rule(Action.RETRY, "give the destination more capacity"),
    ErrorKind.UNAVAILABLE: Rule(Action.RETRY, "look at the destination and at the network between"),
    ErrorKind.ACCESS_DENIED: Rule(
        Action.RETRY, "give or renew the credentials, or allow this sink's actions"
    ),
    ErrorKind.NOT_FOUND: Rule(Action.RETRY, "create what is missing, or mend its name in the configuration"),
    ErrorKind.MALFORMED: Rule(Action.RETRY, "look whether the endpoint is what the configuration says it is"),
    ErrorKind.REJECTED: Rule(
        Action.ISOLATE, "the destination refuses the batch as a whole, even an empty one: see the reason"
    ),
    ErrorKind.UNENCODABLE: Rule(Action.ISOLATE, "no schema can be made for this table: see the reason"),
    ErrorKind.INVALID_REQUEST: Rule(Action.HALT_SHARD, _CALLS_IT_WRONG),
    ErrorKind.FENCED: Rule(
        Action.HALT_PIPELINE, "another process writes for this pipeline: end one of the two"
    ),
    ErrorKind.CONFIGURATION: Rule(Action.HALT_PIPELINE, "mend the configuration and start again"),
}

SCHEMAS: dict[ErrorKind, Rule] = {
    # What is known needs no registry: only the shards that need a schema that is not known wait for it.
    ErrorKind.UNAVAILABLE: Rule(Action.HOLD_SHARD, "look at the schema registry and at the network between"),
    ErrorKind.THROTTLED: Rule(Action.HOLD_SHARD, "give the schema registry more capacity"),
    ErrorKind.ACCESS_DENIED: Rule(
        Action.HOLD_SHARD, "give or renew the schema registry's credentials, or the right to read and write"
    ),
    ErrorKind.NOT_FOUND: Rule(Action.HOLD_SHARD, "register the schema, or restore the registry"),
    ErrorKind.MALFORMED: Rule(
        Action.HOLD_SHARD, "look whether the endpoint is the schema registry that the configuration names"
    ),
    ErrorKind.UNENCODABLE: Rule(Action.HALT_SHARD, "the registry refuses the table's schema: see the reason"),
    ErrorKind.INVALID_REQUEST: Rule(Action.HALT_SHARD, _CALLS_IT_WRONG),
    ErrorKind.CONFIGURATION: Rule(Action.HALT_PIPELINE, "mend the configuration and start again"),
    ErrorKind.STATE_FORMAT: Rule(Action.HALT_PIPELINE, "restore the schema registry"),
}

STATE: dict[ErrorKind, Rule] = {
    ErrorKind.UNAVAILABLE: Rule(Action.RETRY, "look at the state store: a full disk, a lock, a network"),
    ErrorKind.THROTTLED: Rule(Action.RETRY, "give the state store more capacity"),
    ErrorKind.ACCESS_DENIED: Rule(Action.RETRY, "renew the credentials, or allow the state store's actions"),
    ErrorKind.CONFIGURATION: Rule(Action.HALT_PIPELINE, "mend the configuration and start again"),
    ErrorKind.STATE_FORMAT: Rule(
        Action.HALT_PIPELINE, "restore the state from a copy, or begin anew without it"
    ),
    ErrorKind.NOT_FOUND: Rule(Action.HALT_PIPELINE, "restore the state store, or begin anew without it"),
    ErrorKind.NOT_OWNER: Rule(
        Action.HALT_PIPELINE, "another process has taken this pipeline over: end one of the two"
    ),
}

_UNEXPECTED = Rule(Action.HALT_PIPELINE, _CALLS_IT_WRONG)


def rule(table: dict[ErrorKind, Rule], error: CdcError) -> Rule:
    """The rule for this error; its own remedy, where it has one, instead of the general one."""
    found = table.get(error.kind, _UNEXPECTED)
    return Rule(found.action, error.remedy) if error.remedy else found


def of_sink(error: CdcError, *, has_worked: bool) -> Rule:
    """The rule for what a sink, or the registry that it needs, has raised.

    Args:
        has_worked: it was open, and delivered something, in this process: its configuration was right. What calls it wrong
            since is its own trouble, and no reason to end the others.
    """
    found = rule(SCHEMAS if isinstance(error, RegistryError) else SINK, error)
    passing = error.kind is ErrorKind.CONFIGURATION and has_worked and not isinstance(error, RegistryError)
    return Rule(Action.RETRY, found.remedy) if passing else found


def exit_code(error: CdcError) -> int:
    """Of a process that this error ends: 2 if only another configuration helps, so that nobody restarts on it."""
    return 2 if error.kind is ErrorKind.CONFIGURATION else 1


def backoff(failures: int, *, base: float = 0.5, most: float = 30.0, salt: str = "") -> float:
    """Seconds until the next try after so many failures in a row (1, 2, ...): doubling, up to `most`.

    A quarter is spread by `salt`, so that a thousand shards that failed together don't come back together; by a sum of
    its letters and not by chance, so that a run can be replayed.
    """
    full = min(most, base * 2.0 ** min(failures - 1, 16))
    spread = (sum(salt.encode()) * 37 + failures * 101) % 256 / 256
    return full * (0.75 + 0.25 * spread)
