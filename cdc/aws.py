"""What the connectors to AWS share: a session of botocore, and what its failures mean in the words of `cdc.errors`.

Importing this imports botocore: a connector does so inside `build` and `probe` only (`cdc.connector`). It keeps its own
messages and raises its port's own error.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from botocore import exceptions as vendor
from botocore.config import Config
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session

from cdc.errors import ErrorKind

KINDS: Mapping[str, ErrorKind] = {
    # API reference, DynamoDB Streams: GetRecords, GetShardIterator, DescribeStream.
    "ExpiredIteratorException": ErrorKind.ITERATOR_EXPIRED,
    "TrimmedDataAccessException": ErrorKind.TRIMMED,
    "ResourceNotFoundException": ErrorKind.NOT_FOUND,
    "LimitExceededException": ErrorKind.THROTTLED,
    "InternalServerError": ErrorKind.UNAVAILABLE,
    # API reference, DynamoDB. Somebody else was writing the same item at this moment: the same call may succeed later.
    "ReplicatedWriteConflictException": ErrorKind.UNAVAILABLE,
    "TransactionConflictException": ErrorKind.UNAVAILABLE,
    "TransactionInProgressException": ErrorKind.UNAVAILABLE,
    "TableNotFoundException": ErrorKind.NOT_FOUND,
    # API reference, DynamoDB: Common Errors; Developer Guide, Error handling.
    "ThrottlingException": ErrorKind.THROTTLED,
    "Throttling": ErrorKind.THROTTLED,
    "ThrottledException": ErrorKind.THROTTLED,
    "ProvisionedThroughputExceededException": ErrorKind.THROTTLED,
    "RequestLimitExceeded": ErrorKind.THROTTLED,
    "RequestThrottled": ErrorKind.THROTTLED,
    "TooManyRequestsException": ErrorKind.THROTTLED,
    "SlowDown": ErrorKind.THROTTLED,
    "InternalFailure": ErrorKind.UNAVAILABLE,
    "ServiceUnavailable": ErrorKind.UNAVAILABLE,
    "ServiceUnavailableException": ErrorKind.UNAVAILABLE,
    "RequestTimeout": ErrorKind.UNAVAILABLE,
    "RequestTimeoutException": ErrorKind.UNAVAILABLE,
    "AccessDenied": ErrorKind.ACCESS_DENIED,
    "AccessDeniedException": ErrorKind.ACCESS_DENIED,
    "ExpiredToken": ErrorKind.ACCESS_DENIED,
    "ExpiredTokenException": ErrorKind.ACCESS_DENIED,
    "IncompleteSignature": ErrorKind.ACCESS_DENIED,
    "IncompleteSignatureException": ErrorKind.ACCESS_DENIED,
    "InvalidAccessKeyId": ErrorKind.ACCESS_DENIED,
    "InvalidClientTokenId": ErrorKind.ACCESS_DENIED,
    "InvalidSignatureException": ErrorKind.ACCESS_DENIED,
    "MissingAuthenticationToken": ErrorKind.ACCESS_DENIED,
    "MissingAuthenticationTokenException": ErrorKind.ACCESS_DENIED,
    "NotAuthorized": ErrorKind.ACCESS_DENIED,
    "OptInRequired": ErrorKind.ACCESS_DENIED,
    "RequestExpired": ErrorKind.ACCESS_DENIED,
    "SignatureDoesNotMatch": ErrorKind.ACCESS_DENIED,
    "UnrecognizedClientException": ErrorKind.ACCESS_DENIED,
    "ValidationException": ErrorKind.INVALID_REQUEST,
    "ValidationError": ErrorKind.INVALID_REQUEST,
    "SerializationException": ErrorKind.INVALID_REQUEST,
    "UnknownOperationException": ErrorKind.INVALID_REQUEST,
    # Amazon S3 API reference, Error responses.
    "NoSuchBucket": ErrorKind.NOT_FOUND,
    "NoSuchKey": ErrorKind.NOT_FOUND,
    # Somebody aborted the upload, or the store lost it or a part of it: the file is written again.
    "NoSuchUpload": ErrorKind.UNAVAILABLE,
    "InvalidPart": ErrorKind.UNAVAILABLE,
    # Damaged on its way; the same bytes may arrive next time.
    "BadDigest": ErrorKind.UNAVAILABLE,
    "XAmzContentChecksumMismatch": ErrorKind.UNAVAILABLE,
    "XAmzContentSHA256Mismatch": ErrorKind.UNAVAILABLE,
    "IncompleteBody": ErrorKind.UNAVAILABLE,
    # Other calls for the same bucket or key, or a bucket that has just been made.
    "OperationAborted": ErrorKind.UNAVAILABLE,
    "ConditionalRequestConflict": ErrorKind.UNAVAILABLE,
    "TemporaryRedirect": ErrorKind.UNAVAILABLE,
    "InternalError": ErrorKind.UNAVAILABLE,
    "ServerBusy": ErrorKind.THROTTLED,
    "InvalidToken": ErrorKind.ACCESS_DENIED,
    "TokenRefreshRequired": ErrorKind.ACCESS_DENIED,
    "AllAccessDisabled": ErrorKind.ACCESS_DENIED,
    "AccountProblem": ErrorKind.ACCESS_DENIED,
    "RequestTimeTooSkewed": ErrorKind.ACCESS_DENIED,
    # Only other settings help.
    "InvalidBucketName": ErrorKind.CONFIGURATION,
    "InvalidStorageClass": ErrorKind.CONFIGURATION,
    "AccessControlListNotSupported": ErrorKind.CONFIGURATION,
    "InvalidEncryptionAlgorithmError": ErrorKind.CONFIGURATION,
    "PermanentRedirect": ErrorKind.CONFIGURATION,
    "AuthorizationHeaderMalformed": ErrorKind.CONFIGURATION,
    "IllegalLocationConstraintException": ErrorKind.CONFIGURATION,
    "NotImplemented": ErrorKind.CONFIGURATION,
    # AWS KMS, as S3 hands it on.
    "KMS.NotFoundException": ErrorKind.NOT_FOUND,
    "KMS.DisabledException": ErrorKind.ACCESS_DENIED,
    "KMS.InvalidKeyUsageException": ErrorKind.CONFIGURATION,
    "KMS.KMSInvalidStateException": ErrorKind.UNAVAILABLE,
    "KMS.ThrottlingException": ErrorKind.THROTTLED,
}
"""By code, never by exception class: `ThrottlingException` occurs, and `client.exceptions` does not have it."""

_STATUSES = {
    401: ErrorKind.ACCESS_DENIED,
    403: ErrorKind.ACCESS_DENIED,
    407: ErrorKind.ACCESS_DENIED,
    408: ErrorKind.UNAVAILABLE,
    429: ErrorKind.THROTTLED,
}

CREDENTIALS = (
    vendor.NoCredentialsError,
    vendor.PartialCredentialsError,
    vendor.CredentialRetrievalError,
    vendor.TokenRetrievalError,
    vendor.NoAuthTokenError,
    vendor.SSOError,
    getattr(vendor, "LoginError", vendor.SSOError),  # newer than the oldest botocore that is allowed
    vendor.MetadataRetrievalError,
    vendor.RefreshWithMFAUnsupportedError,
    vendor.InfiniteLoopConfigError,  # an InvalidConfigError too: a loop of profiles
)
"""There are no usable credentials."""

CONFIGURATION = (
    vendor.ProfileNotFound,
    vendor.NoRegionError,
    vendor.InvalidRegionError,
    vendor.InvalidConfigError,
    vendor.InvalidEndpointConfigurationError,
    vendor.InvalidIMDSEndpointError,
    vendor.InvalidProxiesConfigError,
    vendor.ConfigNotFound,
    vendor.ConfigParseError,
    vendor.EndpointProviderError,
    vendor.MissingDependencyException,
)
"""The SDK's configuration, or what it was given of ours, is wrong."""

UNREACHABLE = (vendor.HTTPClientError, vendor.ConnectionError)
"""No answer, or none in time. A call may have been carried out all the same."""


class StsUnreachableError(vendor.HTTPClientError):
    """One of `UNREACHABLE`: the token service gave no answer. Its text is a message that can be shown."""

    fmt = "AssumeRole of {role_arn} at {endpoint_url}: {name}"


DAMAGED = (vendor.ChecksumError, vendor.IncompleteReadError, ResponseParserError)
"""An answer that did not arrive as it was sent, or is none of this service."""


EXPIRED = ("ExpiredToken", "ExpiredTokenException")
"""Codes of a service that calls credentials expired; with `credentials_refused` they are renewed."""


def expired_after_refresh(error: RuntimeError) -> bool:
    """Credentials that are expired even after they were refreshed have no class of their own in botocore."""
    return str(error).startswith("Credentials were refreshed")


_MAX_SESSION_NAME = 64
"""STS API reference, AssumeRole, RoleSessionName."""

_STS = Config(
    connect_timeout=3,
    read_timeout=10,
    max_pool_connections=1,
    retries={"mode": "standard", "total_max_attempts": 1},  # who needs the credentials tries again
    parameter_validation=False,
    tcp_keepalive=True,
    user_agent_extra="dynamodb-cdc",
)


def kind_of(code: str, status: int) -> ErrorKind:
    """By code; an unknown one by its status, as HTTP means it (RFC 9110, 15.5 and 15.6).

    Args:
        code: of the error, without a namespace.
        status: of the HTTP answer; 0 if unknown.
    """
    if code in KINDS:
        return KINDS[code]
    if status in _STATUSES:
        return _STATUSES[status]
    if status >= 500:  # noqa: PLR2004
        return ErrorKind.UNAVAILABLE
    return ErrorKind.INVALID_REQUEST if status >= 400 else ErrorKind.MALFORMED  # noqa: PLR2004


def session(
    *,
    profile: str | None,
    region: str | None,
    role_arn: str | None,
    external_id: str | None,
    role_session_name: str,
) -> Session:
    """A session with the credentials of the profile (None: the usual chain), or of the role that they may assume.

    No call is made yet: the role is assumed for the first request, and again before its credentials expire.

    Args:
        profile: of the SDK's configuration files.
        region: whose STS is asked; None: the SDK's own setting.
        role_arn: None: no role.
        external_id: what the role's trust policy asks for.
        role_session_name: what CloudTrail calls the caller; 64 characters of it are used.

    Raises:
        ProfileNotFound: now, or by the first client.
        NoCredentialsError: by the first client: there is nobody to assume the role.
    """
    made = Session(profile=profile)
    if role_arn is not None:
        arguments = {"RoleSessionName": role_session_name[:_MAX_SESSION_NAME]}
        if external_id is not None:
            arguments["ExternalId"] = external_id
        provider = _AssumedRole(made, region, role_arn, arguments)
        made.register_component("credential_provider", CredentialResolver([provider]))
        made.register("after-call", partial(_look_for_refusal, made))
    return made


def credentials_refused(session: Session) -> None:
    """A service calls the role's credentials expired, though they should be good for a while: a clock is wrong, or they were
    revoked. The next call has new ones. Clients of the session find it out by themselves; this is for those who sign on
    their own. Without a role nothing happens: what the SDK found, it renews by its own rules.
    """
    credentials = session.get_credentials()
    if isinstance(credentials, _RoleCredentials):
        credentials.refused()


def _look_for_refusal(session: Session, parsed: Any, **_: Any) -> None:
    if isinstance(parsed, dict) and parsed.get("Error", {}).get("Code") in EXPIRED:
        credentials_refused(session)


ONCE = _STS
"""Of clients that answer soon or not at all, and never try again."""


def may_ask(session: Session, service: str, endpoint_url: str | None) -> bool:
    """Whether a service of AWS beside the one at `endpoint_url` is there to be asked.

    An emulator's endpoint says nothing about the others': they are asked only where the SDK's own configuration says
    where (`AWS_ENDPOINT_URL_STS`; SDKs and Tools reference guide, Service-specific endpoints).
    """
    host = urlsplit(endpoint_url or "https://amazonaws.com").hostname or ""
    if host.endswith(("amazonaws.com", "amazonaws.com.cn", "api.aws")):
        return True
    configured = ConfiguredEndpointProvider(
        full_config=session.full_config, scoped_config=session.get_scoped_config(), client_name=service
    )
    return bool(configured.provide())


class _RoleCredentials(DeferredRefreshableCredentials):
    """Renewed before they expire, and when a service has refused them."""

    def __init__(self, assume: Callable[[], Any], *, method: str) -> None:
        super().__init__(refresh_using=self._renew, method=method)
        self._assume = assume
        self._is_refused = False

    def refused(self) -> None:
        self._is_refused = True

    def refresh_needed(self, refresh_in: Any = None) -> bool:
        return self._is_refused or bool(super().refresh_needed(refresh_in))

    def _renew(self) -> Any:
        renewed = self._assume()
        self._is_refused = False
        return renewed


class _AssumedRole(CredentialProvider):
    """Takes the place of the session's own providers, whose credentials it assumes the role with."""

    METHOD = "assume-role"
    CANONICAL_NAME = "assume-role"

    def __init__(
        self, session: Session, region: str | None, role_arn: str, arguments: Mapping[str, str]
    ) -> None:
        super().__init__(session)
        self._sources: CredentialResolver = session.get_component("credential_provider")
        self._create_client = partial(session.create_client, region_name=region, config=_STS)
        self._role_arn = role_arn
        self._arguments = dict(arguments)

    def load(self) -> DeferredRefreshableCredentials:
        credentials = self._sources.load_credentials()
        if credentials is None:
            raise vendor.NoCredentialsError

        def assume() -> Any:
            # A new one each time: it remembers credentials for as long as they say that they are good.
            fetcher = AssumeRoleCredentialFetcher(
                self._create_client, credentials, self._role_arn, extra_args=self._arguments
            )
            try:
                return fetcher.fetch_credentials()
            except UNREACHABLE as error:
                raise StsUnreachableError(
                    role_arn=self._role_arn,
                    endpoint_url=error.kwargs.get("endpoint_url", "its region"),
                    name=type(error).__name__,
                ) from None

        return _RoleCredentials(assume, method=self.METHOD)
