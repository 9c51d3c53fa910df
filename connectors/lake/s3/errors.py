"""What botocore raises and a store answers, as `SinkError`."""

import re
from collections.abc import Mapping
from typing import Any

from botocore import exceptions as vendor

from cdc import aws
from cdc.errors import ErrorKind, SinkError

PERMISSIONS: Mapping[str, str] = {
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "HeadObject": "s3:GetObject",
}
"""What a call needs (Amazon S3 API reference, each call's "Permissions")."""

CALLS = (
    vendor.ClientError,
    vendor.ParamValidationError,
    RuntimeError,
    *aws.CONFIGURATION,
    *aws.CREDENTIALS,
    *aws.UNREACHABLE,
    *aws.DAMAGED,
)
"""What a call may raise; a `RuntimeError` only as `aws.expired_after_refresh` has it."""

_WRONG_REGION = (
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "301",
)

_REMEDIES: Mapping[str, str] = {
    "NoSuchBucket": "create the bucket, or mend `url`, `region` or `endpoint_url`",
    "RequestTimeTooSkewed": "set this machine's clock",
    "SignatureDoesNotMatch": "check the secret key, `region` and `endpoint_url`",
    "AccessControlListNotSupported": "leave `acl` out: the bucket's owner owns all that is in it",
    "InvalidStorageClass": "name another `storage_class`",
    "KMS.NotFoundException": "mend `encryption.kms_key_id`: the key is in the bucket's region",
    "KMS.DisabledException": "enable the key that `encryption.kms_key_id` names",
    "NotImplemented": "leave out what this store does not know: checksum, encryption, acl, storage_class",
}

_IAM_ACTION = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z*]+)")
_CODE = re.compile(r"[A-Za-z0-9_.]{1,80}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")


def code_of(error: Exception) -> str:
    """The service's own; empty for what is no answer."""
    return (
        str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, vendor.ClientError) else ""
    )


def sink_error(error: Exception, operation: str, place: str) -> SinkError | None:
    """One of `CALLS` as a `SinkError` that names the call and the place; None: a bug.

    The service's own message is left out: that of a wrong signature holds the signed request. Raise it `from None`, and
    without the vendor's traceback: its frames hold what was to be uploaded.
    """
    where = f"{operation} of {place}"
    name = type(error).__name__
    if isinstance(error, vendor.ClientError):
        return _answered(error, operation, where)
    if isinstance(error, RuntimeError) and not aws.expired_after_refresh(error):
        return None
    if isinstance(error, (vendor.ParamValidationError, *aws.CONFIGURATION)):
        # Before the credentials: a loop of profiles is both.
        return SinkError(ErrorKind.CONFIGURATION, f"{where}: {name}")
    if isinstance(error, aws.StsUnreachableError):
        return SinkError(ErrorKind.UNAVAILABLE, f"{error}; needed for {where}")
    if isinstance(error, (*aws.UNREACHABLE, *aws.DAMAGED)):
        return SinkError(ErrorKind.UNAVAILABLE, f"{where}: {name}")
    expired = isinstance(error, RuntimeError)
    reason = "the refreshed credentials are expired too" if expired else f"no usable credentials ({name})"
    return SinkError(ErrorKind.ACCESS_DENIED, f"{where}: {reason}")


def _answered(error: vendor.ClientError, operation: str, where: str) -> SinkError:
    answer: Mapping[str, Any] = error.response
    details = answer.get("Error", {})
    metadata = answer.get("ResponseMetadata", {})
    code, status = code_of(error), int(metadata.get("HTTPStatusCode", 0))
    if error.operation_name != operation:  # the credentials' own call: AssumeRole
        where = f"{error.operation_name} for {where}"
    message = f"{where}: {code if _CODE.fullmatch(code) and code != str(status) else f'HTTP {status}'}"
    if request_id := metadata.get("RequestId"):
        message += f" (request {request_id})"
    kind = aws.kind_of(code, status)
    if code in _WRONG_REGION:
        found = str(details.get("Region") or metadata.get("HTTPHeaders", {}).get("x-amz-bucket-region") or "")
        region = found if _REGION.fullmatch(found) else "the bucket's"
        return SinkError(ErrorKind.CONFIGURATION, message, remedy=f"set `region` to {region}")
    if kind is ErrorKind.ACCESS_DENIED and code in ("AccessDenied", "403", ""):
        action = _IAM_ACTION.search(str(details.get("Message") or ""))
        needed = action[1] if action else PERMISSIONS.get(error.operation_name, "")
        return SinkError(kind, message, remedy=f"allow {needed}" if needed else "")
    if kind is ErrorKind.INVALID_REQUEST:
        # A quota of the store's own, a proxy's page, a precondition: it is not this file's fault, still less its shards',
        # and may pass. So the lake is down, visibly, and tried again.
        kind = ErrorKind.UNAVAILABLE
    return SinkError(kind, message, remedy=_REMEDIES.get(code, ""))
