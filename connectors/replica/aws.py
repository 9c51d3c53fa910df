"""Sessions of botocore, and its exceptions in the words of `cdc.errors`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from botocore import exceptions as aws
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.session import Session

from cdc.errors import ErrorKind, SinkError

ROLE_SESSION_NAME = "dynamodb-cdc"

DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Developer Guide, "Error handling with DynamoDB", and the common errors of AWS APIs."""

THROTTLED = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Those without `Exception` are codes of a transaction's `CancellationReasons`."""

CONFLICTS = frozenset(
    {
        "ReplicatedWriteConflictException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Somebody else was writing the same item at this moment."""

_CODE = re.compile(r"[A-Za-z0-9_.]{1,80}")


def error_of(code: str, status: int, place: str) -> SinkError:
    """The error for an AWS error code. The service's own message is left out: it may quote an item's values.

    Args:
        code: without the namespace.
        status: of the HTTP answer.
        place: which table or call.
    """
    name = code if _CODE.fullmatch(code) else f"HTTP {status}"
    message = f"{place}: {name}"
    if code in DENIED:
        return SinkError(ErrorKind.ACCESS_DENIED, message)
    if code in THROTTLED:
        return SinkError(ErrorKind.THROTTLED, message)
    if code in CONFLICTS or status >= 500:  # noqa: PLR2004 - HTTP's server errors
        return SinkError(ErrorKind.UNAVAILABLE, message)
    if code in {"ResourceNotFoundException", "TableNotFoundException"}:
        return SinkError(ErrorKind.NOT_FOUND, message)
    return SinkError(ErrorKind.INVALID_REQUEST, message)


@contextmanager
def aws_errors(place: str) -> Iterator[None]:
    """Turns botocore's exceptions into `SinkError`; `place` says which table or call."""
    try:
        yield
    except aws.ClientError as error:
        answer = error.response
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        raise error_of(answer.get("Error", {}).get("Code", ""), status, place) from None
    except (
        aws.NoCredentialsError,
        aws.PartialCredentialsError,
        aws.CredentialRetrievalError,
        aws.RefreshWithMFAUnsupportedError,
        aws.SSOError,
        aws.TokenRetrievalError,
    ) as error:
        message = f"{place}: {type(error).__name__}"
        raise SinkError(ErrorKind.ACCESS_DENIED, message) from None
    except (
        aws.ProfileNotFound,
        aws.NoRegionError,
        aws.InvalidRegionError,
        aws.InvalidConfigError,
        aws.ConfigNotFound,
        aws.ConfigParseError,
        aws.InvalidEndpointConfigurationError,
        aws.InvalidProxiesConfigError,
    ) as error:
        message = f"{place}: {type(error).__name__}"
        raise SinkError(ErrorKind.CONFIGURATION, message) from None
    except (aws.HTTPClientError, aws.ConnectionError) as error:
        message = f"{place}: {type(error).__name__}"
        raise SinkError(ErrorKind.UNAVAILABLE, message) from None


class _AssumedRole(CredentialProvider):
    """Credentials of a role, got with those of another session and renewed before they expire."""

    METHOD = "assume-role"

    def __init__(self, source: Session, region: str | None, role_arn: str, external_id: str | None) -> None:
        super().__init__()
        self._source = source
        self._region = region
        self._role_arn = role_arn
        self._extra = {"RoleSessionName": ROLE_SESSION_NAME}
        if external_id is not None:
            self._extra["ExternalId"] = external_id

    def load(self) -> DeferredRefreshableCredentials:
        source = self._source.get_credentials()
        if source is None:
            raise aws.NoCredentialsError
        fetcher = AssumeRoleCredentialFetcher(
            partial(self._source.create_client, region_name=self._region),
            source,
            self._role_arn,
            extra_args=self._extra,
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)


def session(
    *, profile: str | None, region: str | None, role_arn: str | None, external_id: str | None
) -> Session:
    """A session with the credentials of the profile (None: the usual chain), or of the role that they may assume."""
    source = Session(profile=profile)
    if role_arn is None:
        return source
    assumed = Session(profile=profile)
    provider = _AssumedRole(source, region, role_arn, external_id)
    assumed.register_component("credential_provider", CredentialResolver([provider]))
    return assumed
