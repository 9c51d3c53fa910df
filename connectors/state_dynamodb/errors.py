"""What botocore raises and DynamoDB answers, as `StateError`. No message holds what a vendor says: it may quote a request."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, ParamValidationError

from cdc import aws
from cdc.errors import ErrorKind, StateError
from connectors.state_dynamodb.items import ConditionFailedError

_CODE = re.compile(r"[A-Za-z0-9_.]{1,80}")


@contextmanager
def aws_errors(operation: str, place: str) -> Iterator[None]:
    """Turns botocore's exceptions into `StateError`, and a condition that failed into `ConditionFailedError`.

    Args:
        operation: as the API calls it, which is also the name of its permission.
        place: which table, and where.
    """
    where = f"{operation} on {place}"
    try:
        yield
    except ClientError as error:
        details, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        raise _answered(
            str(details.get("Code", "")), int(metadata.get("HTTPStatusCode", 0)), error, operation, where
        ) from None
    except aws.CONFIGURATION as error:  # before the credentials: a loop of profiles is both
        raise StateError(
            ErrorKind.CONFIGURATION,
            f"{where}: {type(error).__name__}",
            remedy="mend `state.region`, `state.profile` or the SDK's own configuration",
        ) from None
    except aws.CREDENTIALS as error:
        raise _denied(operation, f"{where}: no usable credentials ({type(error).__name__})") from None
    except ParamValidationError:
        raise StateError(ErrorKind.INVALID_REQUEST, f"{where}: ParamValidationError") from None
    except (*aws.UNREACHABLE, *aws.DAMAGED) as error:
        raise StateError(ErrorKind.UNAVAILABLE, f"{where}: {type(error).__name__}") from None
    except RuntimeError as error:
        if not aws.expired_after_refresh(error):
            raise
        raise _denied(operation, f"{where}: the refreshed credentials are expired too") from None


def _answered(
    code: str, status: int, error: ClientError, operation: str, where: str
) -> StateError | ConditionFailedError:
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError()
    name = code if _CODE.fullmatch(code) else f"HTTP {status}"
    if error.operation_name != operation:  # the credentials' own call: AssumeRole
        name = f"{error.operation_name}: {name}"
    kind = aws.kind_of(code, status)
    if kind is ErrorKind.ACCESS_DENIED:
        return _denied(operation, f"{where}: {name}")
    if kind is ErrorKind.NOT_FOUND:
        remedy = "restore the table, or start again with `state.create: true`: a pipeline without state begins at its `start`"
        return StateError(kind, f"{where}: {name}", remedy=remedy)
    return StateError(kind, f"{where}: {name}")


def _denied(operation: str, message: str) -> StateError:
    remedy = f"give or renew the credentials, and allow them dynamodb:{operation} on this table"
    return StateError(ErrorKind.ACCESS_DENIED, message, remedy=remedy)
