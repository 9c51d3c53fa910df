"""The errors that cross a port. Every connector maps its vendor's exceptions to these at its edge.

What is done about an error is not decided where it is raised: `cdc.core.policy` maps its `kind` to an action and to
the remedy that the operator reads. An exception that is none of these is a bug or an unknown; it ends the process with
a traceback.

Messages name the place and the cause. They never hold item values or credentials, at any level.
"""

from enum import StrEnum


class ErrorKind(StrEnum):
    """What went wrong, in the words that `cdc.core.policy` decides by."""

    CONFIGURATION = "configuration"
    """The configuration, or what it names, is wrong. Nothing was changed."""
    ACCESS_DENIED = "access-denied"
    """Credentials are missing, expired or not allowed to do this."""
    THROTTLED = "throttled"
    """The other side asks for fewer calls."""
    UNAVAILABLE = "unavailable"
    """Unreachable, timed out, or a fault on the other side: the same call may succeed later."""
    NOT_FOUND = "not-found"
    """The table, stream, shard, topic or bucket does not exist (any more)."""
    ITERATOR_EXPIRED = "iterator-expired"
    """A shard iterator is older than its 15 minutes."""
    TRIMMED = "trimmed"
    """The position lies before the retention limit: changes expired before they were read."""
    MALFORMED = "malformed"
    """An answer that cannot be understood, although the call succeeded."""
    INVALID_REQUEST = "invalid-request"
    """The other side calls the request itself wrong."""
    REJECTED = "rejected"
    """This one record can never be taken, however often it is tried."""
    UNENCODABLE = "unencodable"
    """This one record has no form in the configured schema."""
    FENCED = "fenced"
    """Another writer has taken over; whatever this process would write is stale."""
    NOT_OWNER = "not-owner"
    """Another process owns this pipeline."""
    STATE_FORMAT = "state-format"
    """Saved state that this version cannot read."""


class CdcError(Exception):
    """An error with a kind, a place and, where one is known, a remedy.

    Args:
        kind: decides what is done about it.
        message: what went wrong and where; no item values, no secrets.
        remedy: what the operator can do; empty where the policy's general remedy says it all.
    """

    def __init__(self, kind: ErrorKind, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.kind, self.message, self.remedy))


def _rebuild(cls: type[CdcError], kind: ErrorKind, message: str, remedy: str) -> CdcError:
    return cls(kind, message, remedy=remedy)


class ConfigError(CdcError):
    """Bad usage or configuration: exit code 2."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(ErrorKind.CONFIGURATION, message, remedy=remedy)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message,), {"remedy": self.remedy})


class SourceError(CdcError):
    """Raised by a `Source`."""


class SinkError(CdcError):
    """Raised by a `Sink`, or the exception of one of its futures."""


class StateError(CdcError):
    """Raised by a `StateStore`."""


class RegistryError(CdcError):
    """Raised by a `SchemaRegistry`."""


class DeadLetterError(CdcError):
    """Raised by `DeadLetters`."""
