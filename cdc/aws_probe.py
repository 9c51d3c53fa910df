"""What probes of AWS share: the clock of the service, which call was allowed, and services beside the one in use.

Importing this imports botocore, as `cdc.aws` does.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError
from botocore.session import Session

from cdc import aws
from cdc.connector import Access, AwsAccess, CountCall, Note
from cdc.errors import CdcError, ErrorKind
from cdc.ports import Clock

SKEW_WARNING_SECONDS = 5.0
SKEW_PROBLEM_SECONDS = 240.0
"""Five minutes off, and signatures are refused (IAM user guide, Signature Version 4: eligible requests)."""

_REFUSED = re.compile(r": (AccessDenied|NotAuthorized|UnauthorizedOperation)(Exception)?\b")


class ServerClock:
    """Compares the `Date` of every answer (RFC 9110, 6.6.1) with this machine's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._skew: float | None = None

    def attach(self, session: Session) -> None:
        """To all clients that the session makes from now on."""
        session.register("response-received", self._received)

    @property
    def skew_seconds(self) -> float | None:
        """How far this machine is ahead: of all answers the least, since answers that were slow look late."""
        return self._skew

    def notes(self, place: str) -> list[Note]:
        skew = self._skew
        if skew is None or abs(skew) <= SKEW_WARNING_SECONDS:
            return []
        way = "ahead of" if skew > 0 else "behind"
        text = f"this machine's clock is {abs(skew):.0f} s {way} that of {place}"
        if abs(skew) > SKEW_PROBLEM_SECONDS:
            text += ": signatures that are five minutes off are refused"
            return [Note(text, "problem", "set the clock (NTP)")]
        return [Note(f"{text}: lag and headroom are off by as much", "warning", "set the clock (NTP)")]

    def _received(self, response_dict: Any = None, **_: object) -> None:
        date = response_dict["headers"].get("date") if response_dict else None
        if date is None:
            return
        with suppress(ValueError):  # no date: an emulator's, a proxy's
            # The header has whole seconds: on average the answer was made half a second later.
            skew = self._clock.now().wall - (parsedate_to_datetime(date).timestamp() + 0.5)
            if self._skew is None or abs(skew) < abs(self._skew):
                self._skew = skew


class Calls:
    """The calls of a probe as `Access`: each needs the permission of its own name, on one resource at a time.

    Args:
        service: the prefix of the actions, `dynamodb`.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._resources: dict[str, str] = {}
        self.seen: list[Access] = []

    def about(self, resources: dict[str, str]) -> None:
        """From here on calls are about these: operation to resource. Others are not recorded."""
        self._resources = resources

    def counting(self, count_call: CountCall) -> CountCall:
        """A `count_call` that also records what was answered. Refusals are recorded by `refused`."""

        def count(operation: str, outcome: str) -> None:
            count_call(operation, outcome)
            # What does not exist is told only to those who may ask.
            if outcome in ("ok", ErrorKind.NOT_FOUND) and operation in self._resources:
                self._record(operation, allowed=True)

        return count

    def refused(self, error: CdcError) -> None:
        """Records what an error says of a permission, if that is what it is about."""
        operation = error.message.partition(" ")[0]
        if operation in self._resources and is_refusal(error):
            self._record(operation, allowed=False)

    def _record(self, operation: str, *, allowed: bool) -> None:
        access = Access(f"{self._service}:{operation}", self._resources[operation], allowed)
        if access not in self.seen:
            self.seen.append(access)


def is_refusal(error: CdcError) -> bool:
    """The caller is known and may not do this; wrong credentials or signatures are something else."""
    return error.kind is ErrorKind.ACCESS_DENIED and bool(_REFUSED.search(error.message))


class Neighbours:
    """Services beside the one that a connector uses, asked with its credentials, for what is good to know.

    What cannot be asked is no failure: it is said (`unasked`).
    """

    def __init__(self, config: AwsAccess, role_session_name: str) -> None:
        self._config = config
        self._session = aws.session(
            profile=config.profile,
            region=config.region,
            role_arn=config.role_arn,
            external_id=config.external_id,
            role_session_name=role_session_name,
        )
        self._unasked: dict[str, list[str]] = {}
        self._unreachable: dict[str, str] = {}
        """Service and reason: asking again would take as long."""

    def ask(
        self, service: str, what: str, call: Callable[[Any], Any], *, at_the_endpoint: bool = False
    ) -> Any:
        """What `call` makes of the service's client; None if it did not answer.

        Args:
            service: botocore's name.
            what: is not known without the answer.
            call: makes one read-only call.
            at_the_endpoint: the service is the one at the configuration's `endpoint_url`.
        """
        if service in self._unreachable:
            self._not_asked(self._unreachable[service], what)
            return None
        endpoint_url = self._config.endpoint_url if at_the_endpoint else None
        try:
            if not aws.may_ask(self._session, service, self._config.endpoint_url):
                self._not_asked("the endpoint is not AWS's", what)
                return None
            client = self._session.create_client(
                service,
                region_name=self._config.region,
                endpoint_url=endpoint_url,
                config=aws.ONCE,
            )
            try:
                return call(client)
            finally:
                client.close()
        except ClientError as error:
            self._not_asked(str(error.response.get("Error", {}).get("Code", "")) or "no code", what)
        except aws.UNREACHABLE as error:
            self._unreachable[service] = type(error).__name__
            self._not_asked(type(error).__name__, what)
        except (*aws.DAMAGED, *aws.CREDENTIALS, *aws.CONFIGURATION) as error:
            self._not_asked(type(error).__name__, what)
        return None

    def unasked(self) -> Sequence[str]:
        """One line for each reason."""
        return [f"not known ({reason}): {', '.join(what)}" for reason, what in self._unasked.items()]

    def _not_asked(self, reason: str, what: str) -> None:
        known = self._unasked.setdefault(reason, [])
        if what not in known:
            known.append(what)
