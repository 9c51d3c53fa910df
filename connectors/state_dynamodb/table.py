"""The table itself: what has to be there, and what is created."""

import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from cdc.connector import AwsAccess, CountCall
from cdc.errors import ErrorKind, StateError
from connectors.state_dynamodb.errors import aws_errors

PARTITION_KEY = "pipeline"
SORT_KEY = "item"

CREATION_SECONDS = 60.0
"""How long `ready` waits for a created table; the next start goes on waiting."""
POLL_SECONDS = 0.5
_SKEW_SECONDS = 5.0
"""Less is not worth a word: the service's `Date` is in whole seconds, and a day old in none."""

_KEY = [(PARTITION_KEY, "HASH", "S"), (SORT_KEY, "RANGE", "S")]
_USABLE = frozenset({"ACTIVE", "UPDATING"})


class Table:
    """Calls about the table.

    Args:
        client: botocore's DynamoDB client.
        name: the table's.
        access: how it was reached, for remedies.
        create: whether it may be created.
        count_call: told of every call.
    """

    def __init__(
        self, client: Any, name: str, access: AwsAccess, *, create: bool, count_call: CountCall
    ) -> None:
        self._client = client
        self._name = name
        self._access = access
        self._create = create
        self._count_call = count_call

    @property
    def place(self) -> str:
        """What messages call it."""
        return f"the table {self._name} at {self._client.meta.endpoint_url}"

    def ready(self, *, create: bool) -> bool:
        """Whether the table is there to be used. With `create` it is, once this returns: made if need be, and waited for.

        Raises:
            StateError: `NOT_FOUND` if it is absent and may not be created; `STATE_FORMAT` if a table of that name is
                another; `UNAVAILABLE` if it takes too long.
        """
        table = self._describe()
        if table is None and not self._create:
            raise self._absent()
        if not create:
            return table is not None and self._checked(table)
        if table is None:
            self._make()
        until = time.monotonic() + CREATION_SECONDS
        while table is None or not self._checked(table):
            if time.monotonic() > until:
                raise StateError(
                    ErrorKind.UNAVAILABLE, f"{self.place} is not ACTIVE after {CREATION_SECONDS:g} s"
                )
            if table is not None:
                time.sleep(POLL_SECONDS)
            table = self._describe()
        return True

    def look(self, now: float) -> list[str]:
        """What is to be said of the table, for a check that changes nothing.

        Args:
            now: epoch seconds by this host's clock.

        Raises:
            StateError: as `ready`.
        """
        answer = self._described()
        if answer is None:
            if not self._create:
                raise self._absent()
            return [f"the table {self._name} does not exist, and will be created (on demand)"]
        table = answer["Table"]
        self._checked(table)
        return [f"the table {self._name} is {table['TableStatus']}", *_skew(answer, now)]

    def close(self) -> None:
        self._client.close()

    def create_command(self) -> str:
        """What an operator types to create the table by hand."""
        options = {
            "--region": self._access.region,
            "--endpoint-url": self._access.endpoint_url,
            "--profile": self._access.profile,
        }
        more = "".join(f" {option} {value}" for option, value in options.items() if value)
        return (
            f"aws dynamodb create-table --table-name {self._name} --billing-mode PAY_PER_REQUEST "
            f"--attribute-definitions {' '.join(f'AttributeName={name},AttributeType={kind}' for name, _, kind in _KEY)} "
            f"--key-schema {' '.join(f'AttributeName={name},KeyType={role}' for name, role, _ in _KEY)}{more}"
        )

    def _absent(self) -> StateError:
        return StateError(
            ErrorKind.NOT_FOUND,
            f"there is no {self.place.removeprefix('the ')}, and `state.create` is false",
            remedy=f"create it: {self.create_command()}",
        )

    def _checked(self, table: Mapping[str, Any]) -> bool:
        """Whether it can be used by now.

        Raises:
            StateError: `STATE_FORMAT` for a table of another kind.
        """
        types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
        schema = sorted(table["KeySchema"], key=lambda one: str(one["KeyType"]))  # HASH comes before RANGE
        key = [(one["AttributeName"], one["KeyType"], types[one["AttributeName"]]) for one in schema]
        if key != _KEY:
            found = ", ".join(f"{name} ({kind}, {role})" for name, role, kind in key)
            needed = ", ".join(f"{name} ({kind}, {role})" for name, role, kind in _KEY)
            raise StateError(
                ErrorKind.STATE_FORMAT,
                f"{self.place} has the key {found}; a table for state has {needed}",
                remedy="name another `state.table`; it is created where it is missing",
            )
        return table["TableStatus"] in _USABLE

    def _make(self) -> None:
        try:
            self._call(
                "CreateTable",
                KeySchema=[{"AttributeName": name, "KeyType": role} for name, role, _ in _KEY],
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": kind} for name, _, kind in _KEY
                ],
                BillingMode="PAY_PER_REQUEST",
            )
        except StateError as error:
            if self._describe() is not None:
                return  # another pipeline was quicker (ResourceInUseException)
            if error.kind is ErrorKind.ACCESS_DENIED:
                error.remedy += f"; or create it by hand: {self.create_command()}"
            raise

    def _describe(self) -> Mapping[str, Any] | None:
        answer = self._described()
        return None if answer is None else answer["Table"]

    def _described(self) -> Any:
        """The whole answer; None: there is no such table."""
        try:
            return self._call("DescribeTable")
        except StateError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise

    def _call(self, operation: str, **parameters: Any) -> Any:
        methods = {"CreateTable": self._client.create_table, "DescribeTable": self._client.describe_table}
        try:
            with aws_errors(operation, self.place):
                answer = methods[operation](TableName=self._name, **parameters)
        except StateError as error:
            self._count_call(operation, error.kind)
            raise
        self._count_call(operation, "ok")
        return answer


def _skew(answer: Mapping[str, Any], now: float) -> Sequence[str]:
    """Other hosts judge by their clocks how old this one's lease is."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date is None:
        return []
    ahead = now - parsedate_to_datetime(date).timestamp()
    if abs(ahead) < _SKEW_SECONDS:
        return []
    return [
        f"this host's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the service's: other hosts will "
        "see its lease end that much " + ("later" if ahead > 0 else "earlier")
    ]
