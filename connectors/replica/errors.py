"""What botocore raises and DynamoDB answers, as `SinkError`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from cdc import aws
from cdc.errors import ErrorKind, SinkError

CANCELLATIONS = {
    "ProvisionedThroughputExceeded": ErrorKind.THROTTLED,
    "ThrottlingError": ErrorKind.THROTTLED,
    "TransactionConflict": ErrorKind.UNAVAILABLE,
}
"""Codes that stand only in a transaction's `CancellationReasons` and say that the same may succeed later
(API reference, TransactWriteItems)."""

_CODE = re.compile(r"[A-Za-z0-9_.]{1,80}")


def error_of(code: str, status: int, place: str) -> SinkError:
    """The error for an AWS error code. The service's own message is left out: it may quote an item's values.

    Args:
        code: without the namespace; of an answer, or of a reason why a transaction was cancelled.
        status: of the HTTP answer.
        place: which table or call.
    """
    name = code if _CODE.fullmatch(code) else f"HTTP {status}"
    return SinkError(CANCELLATIONS.get(code) or aws.kind_of(code, status), f"{place}: {name}")


@contextmanager
def aws_errors(place: str) -> Iterator[None]:
    """Turns botocore's exceptions into `SinkError`; `place` says which table or call."""
    try:
        yield
    except ClientError as error:
        answer = error.response
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if error.operation_name == "AssumeRole":
            place = f"AssumeRole, needed for {place}"
        raise error_of(answer.get("Error", {}).get("Code", ""), status, place) from None
    except aws.CONFIGURATION as error:  # before the credentials: a loop of profiles is both
        message = f"{place}: {type(error).__name__}"
        raise SinkError(ErrorKind.CONFIGURATION, message) from None
    except aws.CREDENTIALS as error:
        message = f"{place}: {type(error).__name__}"
        raise SinkError(ErrorKind.ACCESS_DENIED, message) from None
    except aws.StsUnreachableError as error:
        message = f"{error}; needed for {place}"
        raise SinkError(ErrorKind.UNAVAILABLE, message) from None
    except (*aws.UNREACHABLE, *aws.DAMAGED) as error:
        message = f"{place}: {type(error).__name__}"
        raise SinkError(ErrorKind.UNAVAILABLE, message) from None
    except RuntimeError as error:
        if not aws.expired_after_refresh(error):
            raise
        message = f"{place}: the refreshed credentials are expired too"
        raise SinkError(ErrorKind.ACCESS_DENIED, message) from None
