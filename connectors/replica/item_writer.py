"""Carries out one item's write: one call at a time, until it is done, refused, or out of time."""

import random
from collections.abc import Callable

from cdc.errors import ErrorKind, SinkError
from cdc.model import Change, version
from cdc.ports import Clock
from connectors.replica.answers import RefusedError, read
from connectors.replica.guard import (
    VERSION_ATTRIBUTE,
    VERSIONED,
    Request,
    Seen,
    Verdict,
    decide,
    first_request,
)
from connectors.replica.keys import tombstone_id
from connectors.replica.plan import ItemWrite
from connectors.replica.transport import Answer
from connectors.replica.wire import Values, item_with_version

BUDGET_SECONDS = 10.0
"""How long one request is tried again before its batch is handed back."""
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0

_WORTH_ANOTHER_ATTEMPT = frozenset({ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE})

Post = Callable[[str, bytes], Answer]


class ItemWriter:
    """Safe to use from many threads, each with an `ItemWrite` of its own.

    Args:
        post: makes a call; see `Transport.post`.
        clock: for the budget and the tombstones' expiry.
        tombstone_seconds: how long a delete is remembered.
        budget_seconds: see `BUDGET_SECONDS`.
    """

    def __init__(
        self, post: Post, clock: Clock, *, tombstone_seconds: int, budget_seconds: float = BUDGET_SECONDS
    ) -> None:
        self._post = post
        self._clock = clock
        self._tombstone_seconds = tombstone_seconds
        self._budget = budget_seconds

    def advance(self, write: ItemWrite) -> float | None:
        """Goes on with a write. None: it is over, and `write.changes` is empty if every change was refused. Else the
        seconds after which to call again.

        Raises:
            SinkError: it cannot be done now; the batch is to be handed back.
        """
        while write.changes:
            change = write.changes[-1]
            try:
                pause = self._attempt(write, change)
            except RefusedError as refusal:
                write.rejects.append(write.batch.reject(change, refusal.kind, refusal.reason))
                write.changes.pop()
                write.ask(None)
                continue
            if pause is not None:
                return pause
            if write.request is None:
                return None
        return None

    def _attempt(self, write: ItemWrite, change: Change) -> float | None:
        """One call. Afterwards `write.request` is what comes next, None if the change is settled; the answer is how
        long to wait before."""
        removed = change.event_name == "REMOVE"
        request = write.request
        if request is None:
            expected = write.changes[0].event_name != "INSERT"
            request = first_request(VERSIONED, removed=removed, expected=expected)
            write.ask(request)
        if write.attempts == 0:
            write.since = self._clock.now().monotonic
        write.attempts += 1
        change_version = version(write.batch.stream.created_ms, change.sequence)
        try:
            failed = self._call(write, change, request, change_version)
        except SinkError as error:
            return self._pause(write, error)
        if failed is None:
            write.ask(None)
            return None
        match decide(request, change_version, failed):
            case Verdict.APPLIED | Verdict.SUPERSEDED:
                write.ask(None)
            case Verdict.MISSING:
                write.ask(VERSIONED.insert)
            case Verdict.AGAIN:
                message = f"table {write.target.table}: a condition failed, and the item does not show why"
                return self._pause(write, SinkError(ErrorKind.UNAVAILABLE, message))
            case Verdict.FOREIGN:
                raise RefusedError(
                    ErrorKind.REJECTED,
                    f"the replica's item or tombstone has a {VERSION_ATTRIBUTE} that this sink did not write",
                )
        return None

    def _call(
        self, write: ItemWrite, change: Change, request: Request, change_version: str
    ) -> list[Seen | None] | None:
        target = write.target
        removed = change.event_name == "REMOVE"
        values = Values(
            version=change_version,
            keys=bytes(change.dynamodb.keys),
            item=b"" if removed else item_with_version(change, target.schema, change_version),
            tombstone=tombstone_id(target.table, write.key),
            expires_at=int(self._clock.now().wall) + self._tombstone_seconds,
        )
        return read(self._post(*target.wire.call(request, values)), request, target.table)

    def _pause(self, write: ItemWrite, error: SinkError) -> float:
        """Seconds until the next attempt. Raises `error` if there is to be none."""
        if error.kind not in _WORTH_ANOTHER_ATTEMPT:
            raise error
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (write.attempts - 1))
        pause = random.uniform(longest / 2, longest)  # noqa: S311 - spreads retries, hides nothing
        if self._clock.now().monotonic - write.since + pause > self._budget:
            message = f"{error.message} ({write.attempts} attempts in {self._budget:g} s)"
            raise SinkError(error.kind, message, remedy=error.remedy)
        return pause
