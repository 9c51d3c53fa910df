import threading
from datetime import timedelta
from typing import Any

import pytest
from botocore import exceptions as vendor

from cdc.errors import ErrorKind, SinkError
from cdc.testing.batches import Table
from cdc.testing.encoding import encode
from connectors.lake import CONNECTOR
from connectors.lake.config import LakeConfig
from connectors.lake.s3.bucket import Bucket
from connectors.lake.s3.client import create_client
from connectors.lake.s3.errors import sink_error
from connectors.lake.s3.storage import open_bucket
from tests.dynamodb_streams.canned_server import canned_server, role_credentials
from tests.s3.lakes import s3_config, s3_context
from tests.s3.server import Refuse, S3Server, times
from tests.unit.lake_s3.sinks import large, opened, small

SSE = "x-amz-server-side-encryption"


def uploaded(s3: S3Server, **keys: Any) -> dict[str, dict[str, str]]:
    """The headers of each call, after a small and a large file."""
    shard, other = Table("orders").shard(), Table("users").shard()
    with opened(s3, shard, other, **keys) as sink:
        receipts = [sink.write(encode(large(shard))), sink.write(encode(small(other)))]
        sink.flush(deadline=10).result(10)
        assert all(receipt.durable.done() for receipt in receipts)
    return {call.operation: dict(call.headers) for call in s3.calls}


def test_nothing_is_asked_for_that_is_not_set(s3: S3Server) -> None:
    for headers in uploaded(s3).values():
        assert not [
            name for name in headers if name.startswith((SSE, "x-amz-acl", "x-amz-storage", "x-amz-exp"))
        ]


@pytest.mark.parametrize(
    ("encryption", "expected"),
    [
        ({"type": "sse-s3"}, {SSE: "AES256"}),
        ({"type": "sse-kms"}, {SSE: "aws:kms", f"{SSE}-bucket-key-enabled": "true"}),
        (
            {
                "type": "sse-kms",
                "kms_key_id": "arn:aws:kms:eu-west-1:111111111111:key/k",
                "bucket_key": False,
            },
            {
                SSE: "aws:kms",
                f"{SSE}-bucket-key-enabled": "false",
                f"{SSE}-aws-kms-key-id": "arn:aws:kms:eu-west-1:111111111111:key/k",
            },
        ),
    ],
)
def test_encryption_is_asked_for_where_an_object_begins(
    s3: S3Server, encryption: dict[str, Any], expected: dict[str, str]
) -> None:
    for operation, headers in uploaded(s3, encryption=encryption).items():
        begins = operation in ("PutObject", "CreateMultipartUpload")
        assert {name: value for name, value in headers.items() if name.startswith(SSE)} == (
            expected if begins else {}
        )


@pytest.mark.parametrize("make", [small, large])
def test_a_store_that_does_not_encrypt_as_asked_is_refused(s3: S3Server, make: Any) -> None:
    s3.store.encrypts = False
    shard = Table().shard()
    with opened(s3, shard, encryption={"type": "sse-s3"}) as sink:
        receipt = sink.write(encode(make(shard)))
        sink.flush(deadline=10).exception(10)
        error = receipt.durable.exception(0)
        assert isinstance(error, SinkError)
        assert error.kind is ErrorKind.CONFIGURATION
    assert not s3.store.uploads


def test_the_owner_is_named_in_every_call(s3: S3Server) -> None:
    headers = uploaded(s3, expected_bucket_owner="111111111111")
    assert len(headers) == 5
    assert {each["x-amz-expected-bucket-owner"] for each in headers.values()} == {"111111111111"}


def test_acl_and_storage_class(s3: S3Server) -> None:
    headers = uploaded(s3, acl="bucket-owner-full-control", storage_class="INTELLIGENT_TIERING")
    for operation in ("PutObject", "CreateMultipartUpload"):
        assert headers[operation]["x-amz-acl"] == "bucket-owner-full-control"
        assert headers[operation]["x-amz-storage-class"] == "INTELLIGENT_TIERING"


@pytest.mark.parametrize(
    ("keys", "url"),
    [
        ({"endpoint_url": None}, "https://lake.s3.eu-west-1.amazonaws.com/?uploads"),
        ({"endpoint_url": None, "path_style": True}, "https://s3.eu-west-1.amazonaws.com/lake?uploads"),
        ({"endpoint_url": "https://store.example"}, "https://store.example/lake?uploads"),
        ({"endpoint_url": "https://store.example", "path_style": False}, "https://lake.store.example/?uploads"),
    ],
)  # fmt: skip
def test_where_the_bucket_stands(keys: dict[str, Any], url: str) -> None:
    asked: list[str] = []

    def refuse(request: Any, **_: Any) -> None:
        asked.append(request.url)
        raise vendor.EndpointConnectionError(endpoint_url=request.url)

    config = s3_config("http://unused", **keys)
    client = create_client(config, connections=1)
    client.meta.events.register("before-send.s3", refuse)
    with pytest.raises(SinkError):
        Bucket(config, lambda: client, lambda _operation, _outcome: None).look()
    assert asked[0].startswith(url)


WHERE = "ListMultipartUploads of s3://lake/orders-lake/"


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        (Refuse("NoSuchBucket", 404), ErrorKind.NOT_FOUND, "create the bucket"),
        (Refuse("AccessDenied", 403), ErrorKind.ACCESS_DENIED, "allow s3:ListBucketMultipartUploads"),
        (
            Refuse(
                "AccessDenied",
                403,
                "User: x is not authorized to perform: kms:GenerateDataKey on resource: y",
            ),
            ErrorKind.ACCESS_DENIED,
            "allow kms:GenerateDataKey",
        ),
        (Refuse("SlowDown", 503), ErrorKind.THROTTLED, ""),
        (Refuse("InternalError", 500), ErrorKind.UNAVAILABLE, ""),
        (Refuse("FromTheFuture", 507), ErrorKind.UNAVAILABLE, ""),
        (
            Refuse("PermanentRedirect", 301, headers={"x-amz-bucket-region": "us-west-2"}),
            ErrorKind.CONFIGURATION,
            "set `region` to us-west-2",
        ),
        (
            Refuse("AuthorizationHeaderMalformed", 400, more="<Region>us-west-2</Region>"),
            ErrorKind.CONFIGURATION,
            "set `region` to us-west-2",
        ),
        (Refuse("KMS.DisabledException", 400), ErrorKind.ACCESS_DENIED, "enable the key"),
        (Refuse("KMS.NotFoundException", 400), ErrorKind.NOT_FOUND, "kms_key_id"),
        (Refuse("RequestTimeTooSkewed", 403), ErrorKind.ACCESS_DENIED, "clock"),
        (Refuse("NotImplemented", 501), ErrorKind.CONFIGURATION, "leave out"),
        # Not the file's fault, and it may pass: the lake is down, and no shard is halted for ever.
        (Refuse("InvalidArgument", 400), ErrorKind.UNAVAILABLE, ""),
        (Refuse("PreconditionFailed", 412), ErrorKind.UNAVAILABLE, ""),
        (Refuse("XMinioAdminBucketQuotaExceeded", 400), ErrorKind.UNAVAILABLE, ""),
    ],
    ids=lambda value: value.code if isinstance(value, Refuse) else "",
)
def test_what_a_store_answers(s3: S3Server, fault: Refuse, kind: ErrorKind, told: str) -> None:
    s3.fault = times(1, fault)
    bucket = open_bucket(s3_config(s3.url), s3_context())
    with pytest.raises(SinkError) as refused:
        bucket.look()
    bucket.close()
    assert refused.value.kind is kind
    assert f"{WHERE}: {fault.code}" in refused.value.message
    assert told in refused.value.remedy
    assert "told by the store" not in str(refused.value)
    assert s3.operations() == ["ListMultipartUploads"], "one call, also where botocore would follow"


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (vendor.NoCredentialsError(), ErrorKind.ACCESS_DENIED),
        (vendor.InfiniteLoopConfigError(source_profile="a", visited_profiles=["a"]), ErrorKind.CONFIGURATION),
        (vendor.EndpointConnectionError(endpoint_url="x"), ErrorKind.UNAVAILABLE),
        (vendor.ReadTimeoutError(endpoint_url="x"), ErrorKind.UNAVAILABLE),
        (vendor.ParamValidationError(report="x"), ErrorKind.CONFIGURATION),
        (RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
         ErrorKind.ACCESS_DENIED),
        (RuntimeError("something else"), None),
    ],
)  # fmt: skip
def test_what_botocore_raises(raised: Exception, kind: ErrorKind | None) -> None:
    error = sink_error(raised, "PutObject", "s3://lake/key")
    assert (error.kind if error is not None else None) is kind


@pytest.mark.parametrize("keys", [{"profile": "nobody"}, {"endpoint_url": None, "region": "not a region"}])
def test_what_only_other_settings_help(keys: dict[str, Any]) -> None:
    with pytest.raises(SinkError) as refused:
        CONNECTOR.probe(s3_config("http://127.0.0.1:1", **keys), s3_context())
    assert refused.value.kind is ErrorKind.CONFIGURATION


ROLE = "arn:aws:iam::111111111111:role/lake"


def test_credentials_that_expired_are_renewed_and_the_call_made_again(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store may call expired what should be good for an hour: a clock is wrong, or the role was revoked."""
    shard = Table().shard()
    with canned_server() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        hour = timedelta(hours=1)
        sts.replies["AssumeRole"] = [
            role_credentials("FIRST", valid=hour),
            role_credentials("SECOND", valid=hour),
        ]
        s3.fault = lambda call: (
            Refuse("ExpiredToken", 400) if call.access_key == "FIRST" and call.body else None
        )
        with opened(s3, shard, role_arn=ROLE) as sink:
            receipts = [sink.write(encode(large(shard))) for _ in range(3)]
            sink.flush(deadline=10).result(10)
            assert all(receipt.durable.done() for receipt in receipts)
        assert len(sts.asked("AssumeRole")) == 2
    assert [call.access_key for call in s3.calls if call.operation == "CompleteMultipartUpload"] == ["SECOND"]
    assert "AbortMultipartUpload" not in s3.operations()


def test_the_role_is_assumed_again_before_its_credentials_expire(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = Table().shard()
    with canned_server() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        sts.replies["AssumeRole"] = [
            role_credentials("FIRST", valid=timedelta(minutes=5)),
            role_credentials("SECOND", valid=timedelta(hours=1)),
        ]
        with opened(s3, shard, role_arn=ROLE) as sink:
            sink.write(encode(small(shard)))
    assert [call.access_key for call in s3.calls] == ["FIRST", *["SECOND"] * 2]


def test_credentials_that_stay_expired_are_handed_to_the_engine(s3: S3Server) -> None:
    shard = Table().shard()
    with opened(s3, shard) as sink:
        s3.fault = times(99, Refuse("ExpiredToken", 400), "PutObject")
        receipt = sink.write(encode(small(shard)))
        sink.flush(deadline=10).exception(10)
        error = receipt.durable.exception(0)
        assert isinstance(error, SinkError)
        assert error.kind is ErrorKind.ACCESS_DENIED
    assert s3.operations().count("PutObject") == 2


def test_one_thread_of_several_renews(s3: S3Server) -> None:
    made: list[Any] = []
    lock = threading.Lock()
    config: LakeConfig = s3_config(s3.url)

    def connect() -> Any:
        with lock:
            made.append(create_client(config, connections=4))
        return made[-1]

    bucket = Bucket(config, connect, lambda _operation, _outcome: None)
    bucket.look()
    threads = [threading.Thread(target=bucket._connected, args=(made[0],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    bucket.close()
