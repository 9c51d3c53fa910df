"""What botocore raises, as `SourceError`."""

from botocore import exceptions as vendor

from cdc import aws
from cdc.errors import ErrorKind, SourceError

_REMEDIES = {
    "UnknownOperationException": (
        "check that this endpoint offers DynamoDB Streams, or set source.streams_endpoint_url"
    ),
    "InvalidSignatureException": "check the secret key, source.region and this machine's clock",
    "SignatureDoesNotMatch": "check the secret key, source.region and this machine's clock",
}

_NO_TABLE = "create the table, or mend source.tables, source.region or source.endpoint_url"

_MAX_TEXT = 300

KNOWN = (
    vendor.ClientError,
    vendor.ParamValidationError,
    *aws.DAMAGED,
    *aws.UNREACHABLE,
    *aws.CREDENTIALS,
    *aws.CONFIGURATION,
)
"""What can happen outside. Whatever else botocore raises is a bug, here or there."""


def source_error(error: Exception, operation: str, place: str, endpoint: str) -> SourceError:
    """One of `KNOWN` as a `SourceError` that names the operation, the place and the endpoint.

    Raise it `from None`: a vendor's own text can hold the signed request, and with it a session token.
    """
    where = f"{operation} of {place} at {endpoint}"
    if isinstance(error, vendor.ClientError):
        return _answered(error, where)
    name = type(error).__name__
    if isinstance(error, aws.CREDENTIALS):
        return SourceError(ErrorKind.ACCESS_DENIED, f"{where}: no usable credentials ({name})")
    if isinstance(error, aws.CONFIGURATION):
        remedy = "set source.region" if isinstance(error, vendor.NoRegionError) else ""
        return SourceError(ErrorKind.CONFIGURATION, f"{where}: {_first_line(str(error))}", remedy=remedy)
    if isinstance(error, vendor.ParamValidationError):
        return SourceError(ErrorKind.INVALID_REQUEST, f"{where}: {name}")
    return SourceError(ErrorKind.UNAVAILABLE, _unanswered(error, where, endpoint))


def _unanswered(error: Exception, where: str, endpoint: str) -> str:
    if isinstance(error, aws.StsUnreachableError):
        return f"{error}; needed for {where}"
    if isinstance(error, vendor.ChecksumError):
        return f"{where}: the answer was damaged on its way (x-amz-crc32 does not match)"
    message = f"{where}: {type(error).__name__}"
    other = str(error.kwargs.get("endpoint_url", "")) if isinstance(error, aws.UNREACHABLE) else ""
    if other and not other.startswith(endpoint):  # the credentials' own endpoint
        message += f" ({other})"
    return message


def expired_credentials(error: RuntimeError, operation: str, place: str, endpoint: str) -> SourceError | None:
    """None: another error."""
    if not aws.expired_after_refresh(error):
        return None
    where = f"{operation} of {place} at {endpoint}"
    return SourceError(ErrorKind.ACCESS_DENIED, f"{where}: the refreshed credentials are expired too")


def _answered(error: vendor.ClientError, where: str) -> SourceError:
    details = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    code = str(details.get("Code", ""))
    status = int(metadata.get("HTTPStatusCode", 0))
    own = error.operation_name in where
    parts = [where if own else error.operation_name]  # the credentials' own call: AssumeRole
    parts.append(code if code and code != str(status) else f"HTTP {status}")
    if text := _first_line(str(details.get("Message") or "")):
        parts.append(text)
    message = ": ".join(parts)
    if not own:
        message += f"; needed for {where}"
    if request_id := metadata.get("RequestId"):
        message += f" (request {request_id})"
    kind = aws.kind_of(code, status)
    remedy = _NO_TABLE if kind is ErrorKind.NOT_FOUND and error.operation_name == "DescribeTable" else ""
    return SourceError(kind, message, remedy=remedy or _REMEDIES.get(code, ""))


def _first_line(text: str) -> str:
    """A signature error's further lines are the canonical request, session token included; a page is no message."""
    line = text.strip().partition("\n")[0].strip()
    return "" if line.startswith("<") else line[:_MAX_TEXT]
