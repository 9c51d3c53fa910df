from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as vendor
from botocore.parsers import ResponseParserError

from cdc import aws
from cdc.errors import ErrorKind, SinkError
from connectors.replica.errors import aws_errors
from tests.dynamodb_streams.canned_server import CannedServer, Reply, canned_server, ok, role_credentials
from tests.dynamodb_streams.canned_server import error as refused
from tests.dynamodb_streams.sources import ENVIRONMENT

KINDS = {
    "iterator-expired": ["ExpiredIteratorException"],
    "trimmed": ["TrimmedDataAccessException"],
    "not-found": [
        "KMS.NotFoundException",
        "NoSuchBucket",
        "NoSuchKey",
        "ResourceNotFoundException",
        "TableNotFoundException",
    ],
    "throttled": [
        "KMS.ThrottlingException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ServerBusy",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ],
    "unavailable": [
        "BadDigest",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InvalidPart",
        "KMS.KMSInvalidStateException",
        "NoSuchUpload",
        "OperationAborted",
        "ReplicatedWriteConflictException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "TemporaryRedirect",
        "TransactionConflictException",
        "TransactionInProgressException",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    ],
    "access-denied": [
        "AccessDenied",
        "AccessDeniedException",
        "AccountProblem",
        "AllAccessDisabled",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "KMS.DisabledException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    ],
    "invalid-request": [
        "SerializationException",
        "UnknownOperationException",
        "ValidationError",
        "ValidationException",
    ],
    "configuration": [
        "AccessControlListNotSupported",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "InvalidBucketName",
        "InvalidEncryptionAlgorithmError",
        "InvalidStorageClass",
        "KMS.InvalidKeyUsageException",
        "NotImplemented",
        "PermanentRedirect",
    ],
}


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for kind, codes in KINDS.items() for code in codes])
@pytest.mark.parametrize("status", [0, 400, 403, 500])
def test_a_code_says_more_than_the_status(code: str, kind: str, status: int) -> None:
    assert aws.kind_of(code, status) == kind


def test_every_code_is_told_above() -> None:
    assert set(aws.KINDS) == {code for codes in KINDS.values() for code in codes}


@pytest.mark.parametrize(
    ("status", "kind"),
    {
        0: "malformed",
        302: "malformed",
        400: "invalid-request",
        401: "access-denied",
        403: "access-denied",
        404: "invalid-request",
        407: "access-denied",
        408: "unavailable",
        429: "throttled",
        499: "invalid-request",
        500: "unavailable",
        503: "unavailable",
    }.items(),
)
def test_an_unknown_code_by_its_status(status: int, kind: str) -> None:
    assert aws.kind_of("FromTheFuture", status) == kind
    assert aws.kind_of("", status) == kind


@pytest.mark.parametrize(
    ("error", "group"),
    [
        (vendor.NoCredentialsError(), aws.CREDENTIALS),
        (vendor.PartialCredentialsError(provider="env", cred_var="key"), aws.CREDENTIALS),
        (vendor.CredentialRetrievalError(provider="process", error_msg="x"), aws.CREDENTIALS),
        (vendor.TokenRetrievalError(provider="sso", error_msg="x"), aws.CREDENTIALS),
        (vendor.NoAuthTokenError(), aws.CREDENTIALS),
        (vendor.UnauthorizedSSOTokenError(), aws.CREDENTIALS),
        (vendor.MetadataRetrievalError(error_msg="x"), aws.CREDENTIALS),
        (vendor.RefreshWithMFAUnsupportedError(), aws.CREDENTIALS),
        (vendor.ProfileNotFound(profile="x"), aws.CONFIGURATION),
        (vendor.NoRegionError(), aws.CONFIGURATION),
        (vendor.InvalidRegionError(region_name="x y"), aws.CONFIGURATION),
        (vendor.InvalidConfigError(error_msg="x"), aws.CONFIGURATION),
        (vendor.InvalidEndpointConfigurationError(msg="x"), aws.CONFIGURATION),
        (vendor.InvalidIMDSEndpointError(endpoint="x"), aws.CONFIGURATION),
        (vendor.InvalidProxiesConfigError(), aws.CONFIGURATION),
        (vendor.ConfigNotFound(path="x"), aws.CONFIGURATION),
        (vendor.ConfigParseError(path="x", error="x"), aws.CONFIGURATION),
        (vendor.EndpointProviderError(msg="x"), aws.CONFIGURATION),
        (vendor.MissingDependencyException(msg="x"), aws.CONFIGURATION),
        (vendor.ConnectTimeoutError(endpoint_url="x"), aws.UNREACHABLE),
        (vendor.EndpointConnectionError(endpoint_url="x"), aws.UNREACHABLE),
        (vendor.ReadTimeoutError(endpoint_url="x"), aws.UNREACHABLE),
        (vendor.SSLError(endpoint_url="x", error=OSError()), aws.UNREACHABLE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_is_in_one_group(error: Exception, group: tuple[type[Exception], ...]) -> None:
    groups = (aws.CREDENTIALS, aws.CONFIGURATION, aws.UNREACHABLE)
    assert [other for other in groups if isinstance(error, other)] == [group]


ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CannedServer]:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "config"
    file.write_text("[profile reader]\naws_access_key_id = OFPROFILE\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    with canned_server() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        yield server


def credentials(**more: Any) -> Any:
    """As a client gets them."""
    settings = {
        "profile": None,
        "region": "eu-west-1",
        "role_arn": ROLE,
        "external_id": None,
        "role_session_name": "cdc-orders",
    }
    return aws.session(**(settings | more)).get_credentials()


@pytest.mark.parametrize(("profile", "source"), [(None, "test"), ("reader", "OFPROFILE")])
def test_a_role_is_assumed_with_the_credentials_that_were_found(
    sts: CannedServer, profile: str | None, source: str
) -> None:
    sts.replies["AssumeRole"] = [role_credentials("ASSUMED", valid=timedelta(hours=1))]
    found = credentials(profile=profile, external_id="customer-7")
    assert sts.calls == [], "nobody has asked for anything yet"
    assert [found.get_frozen_credentials().access_key for _ in range(3)] == ["ASSUMED"] * 3
    (call,) = sts.asked("AssumeRole")
    assert f"Credential={source}/" in call["authorization"]
    assert "/eu-west-1/sts/" in call["authorization"]
    assert call["form"]["RoleArn"] == [ROLE]
    assert call["form"]["ExternalId"] == ["customer-7"]
    assert call["form"]["RoleSessionName"] == ["cdc-orders"]


def test_a_long_name_is_cut_and_no_external_id_is_sent(sts: CannedServer) -> None:
    sts.replies["AssumeRole"] = [role_credentials("ASSUMED", valid=timedelta(hours=1))]
    credentials(role_session_name="x" * 65).get_frozen_credentials()
    (call,) = sts.asked("AssumeRole")
    assert call["form"]["RoleSessionName"] == ["x" * 64]
    assert "ExternalId" not in call["form"]


def test_the_role_is_assumed_again_before_its_credentials_expire(sts: CannedServer) -> None:
    sts.replies["AssumeRole"] = [
        role_credentials("FIRST", valid=timedelta(minutes=5)),
        role_credentials("SECOND", valid=timedelta(hours=1)),
    ]
    found = credentials()
    keys = [found.get_frozen_credentials().access_key for _ in range(3)]
    assert keys == ["FIRST", "SECOND", "SECOND"]
    assert all("Credential=test/" in call["authorization"] for call in sts.asked("AssumeRole"))


def test_the_role_is_assumed_again_when_its_credentials_are_refused(sts: CannedServer) -> None:
    """They should be good for an hour, and a service calls them expired: once renewed they are kept again."""
    sts.replies["AssumeRole"] = [
        role_credentials("FIRST", valid=timedelta(hours=1)),
        role_credentials("SECOND", valid=timedelta(hours=1)),
    ]
    session = aws.session(
        profile=None, region="eu-west-1", role_arn=ROLE, external_id=None, role_session_name="cdc-orders"
    )
    found: Any = session.get_credentials()
    assert found.get_frozen_credentials().access_key == "FIRST"
    aws.credentials_refused(session)
    assert [found.get_frozen_credentials().access_key for _ in range(2)] == ["SECOND"] * 2


def test_a_renewal_that_fails_is_tried_again(sts: CannedServer) -> None:
    sts.replies["AssumeRole"] = [
        role_credentials("FIRST", valid=timedelta(hours=1)),
        Reply(b"", 503),
        role_credentials("SECOND", valid=timedelta(hours=1)),
    ]
    session = aws.session(
        profile=None, region="eu-west-1", role_arn=ROLE, external_id=None, role_session_name="cdc-orders"
    )
    found: Any = session.get_credentials()
    assert found.get_frozen_credentials().access_key == "FIRST"
    aws.credentials_refused(session)
    with pytest.raises(vendor.ClientError):
        found.get_frozen_credentials()
    assert found.get_frozen_credentials().access_key == "SECOND"


@pytest.mark.parametrize("code", aws.EXPIRED)
def test_a_client_finds_out_that_its_credentials_were_refused(sts: CannedServer, code: str) -> None:
    sts.replies["AssumeRole"] = [
        role_credentials("FIRST", valid=timedelta(hours=1)),
        role_credentials("SECOND", valid=timedelta(hours=1)),
    ]
    sts.replies["ListTables"] = [refused(code), ok({"TableNames": []})]
    client: Any = aws.session(
        profile=None, region="eu-west-1", role_arn=ROLE, external_id=None, role_session_name="cdc-orders"
    ).create_client("dynamodb", region_name="eu-west-1", endpoint_url=sts.url)
    with pytest.raises(vendor.ClientError):
        client.list_tables()
    assert client.list_tables()["TableNames"] == []
    assert len(sts.asked("AssumeRole")) == 2
    client.close()


def test_sts_is_asked_once(sts: CannedServer) -> None:
    """Whoever needs the credentials tries again: a call that retries on its own would block a worker."""
    sts.replies["AssumeRole"] = [Reply(b"", 503)]
    with pytest.raises(vendor.ClientError):
        credentials().get_frozen_credentials()
    assert len(sts.asked("AssumeRole")) == 1


def test_without_a_role_nobody_is_asked(sts: CannedServer) -> None:
    assert credentials(profile="reader", role_arn=None).get_frozen_credentials().access_key == "OFPROFILE"
    assert sts.calls == []


def test_nobody_to_assume_the_role(sts: CannedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(vendor.NoCredentialsError):
        credentials()


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (vendor.IncompleteReadError(actual_bytes=1, expected_bytes=2), ErrorKind.UNAVAILABLE),
        (vendor.ChecksumError(checksum_type="crc32", expected_checksum="1", actual_checksum="2"), ErrorKind.UNAVAILABLE),
        (ResponseParserError("not what was asked for"), ErrorKind.UNAVAILABLE),
        (RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
         ErrorKind.ACCESS_DENIED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)  # fmt: skip
def test_the_replica_survives_damaged_answers_and_credentials(raised: Exception, kind: ErrorKind) -> None:
    with pytest.raises(SinkError) as caught, aws_errors("table orders"):
        raise raised
    assert caught.value.kind is kind


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(RuntimeError), aws_errors("table orders"):
        raise RuntimeError("something else")
