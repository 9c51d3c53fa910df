"""What the integration tests rely on in the real S3 server, and no emulator in Python offers."""

import base64
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.services.s3 import ACCOUNT, S3Server, make_bucket, s3_client

pytestmark = pytest.mark.integration

RIVALS = 20
PART = b"a" * (5 * 1024 * 1024)  # the least that a part which is not the last may have
STRANGER = "111111111111"


@pytest.fixture
def s3(s3_endpoint: str) -> Any:
    return s3_client(s3_endpoint)


def refusal(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ClientError) as refused:
        call()
    response: Any = refused.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def keys(s3: Any, bucket: str) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def body(s3: Any, bucket: str, key: str) -> bytes:
    content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def upload(s3: Any, bucket: str, key: str, *parts: bytes, **complete: Any) -> Any:
    """What CompleteMultipartUpload answers, after all parts with their checksums."""
    created = s3.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="CRC32")
    upload_id = created["UploadId"]
    told = []
    for number, part in enumerate(parts, start=1):
        sums = {"ChecksumCRC32": crc32(part)}
        sent = s3.upload_part(
            Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=part, **sums
        )
        assert sent["ChecksumCRC32"] == sums["ChecksumCRC32"]
        told.append({"PartNumber": number, "ETag": sent["ETag"]} | sums)
    return s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": told}, **complete
    )


def test_a_key_that_is_taken_is_refused_to_who_wants_it_free(s3: Any, s3_bucket: str) -> None:
    s3.put_object(Bucket=s3_bucket, Key="p=1/first", Body=b"first", IfNoneMatch="*")
    again = refusal(lambda: s3.put_object(Bucket=s3_bucket, Key="p=1/first", Body=b"second", IfNoneMatch="*"))
    assert again == (412, "PreconditionFailed")
    assert body(s3, s3_bucket, "p=1/first") == b"first"
    assert keys(s3, s3_bucket) == ["p=1/first"], "listed as soon as it was written"


@pytest.mark.parametrize("replacing", [False, True], ids=["if-none-match", "if-match"])
def test_of_many_that_write_at_once_under_a_condition_one_wins(
    s3: Any, s3_bucket: str, *, replacing: bool
) -> None:
    """The lease of a pipeline and the names of a lake's files rest on it."""
    start = threading.Barrier(RIVALS)

    def put(rival: int, key: str, condition: dict[str, str]) -> bool:
        start.wait()
        try:
            s3.put_object(Bucket=s3_bucket, Key=key, Body=str(rival).encode() * 1000, **condition)
        except ClientError as refused:
            response: Any = refused.response
            assert response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412)
            return False
        return True

    with ThreadPoolExecutor(RIVALS) as threads:
        for race in range(10):
            key = f"race/{race}"
            condition = {"IfNoneMatch": "*"}
            if replacing:
                condition = {"IfMatch": s3.put_object(Bucket=s3_bucket, Key=key, Body=b"held")["ETag"]}
            attempts = [threads.submit(put, rival, key, condition) for rival in range(RIVALS)]
            winners = [rival for rival, attempt in enumerate(attempts) if attempt.result()]
            assert len(winners) == 1
            assert body(s3, s3_bucket, key) == str(winners[0]).encode() * 1000


def test_an_upload_in_parts_has_checksums_and_conditions(s3: Any, s3_bucket: str) -> None:
    answered = upload(s3, s3_bucket, "large", PART, b"end", IfNoneMatch="*")
    sums = zlib.crc32(PART).to_bytes(4, "big") + zlib.crc32(b"end").to_bytes(4, "big")
    assert answered["ChecksumCRC32"] == f"{crc32(sums)}-2"
    assert answered["ChecksumType"] == "COMPOSITE"
    assert body(s3, s3_bucket, "large") == PART + b"end"
    again = refusal(lambda: upload(s3, s3_bucket, "large", b"other", IfNoneMatch="*"))
    assert again == (412, "PreconditionFailed")
    assert s3.head_object(Bucket=s3_bucket, Key="large")["ContentLength"] == len(PART) + 3


def test_an_upload_in_parts_is_listed_until_it_is_aborted(s3: Any, s3_bucket: str) -> None:
    upload_id = s3.create_multipart_upload(Bucket=s3_bucket, Key="left")["UploadId"]
    s3.upload_part(Bucket=s3_bucket, Key="left", UploadId=upload_id, PartNumber=1, Body=b"part")
    (listed,) = s3.list_multipart_uploads(Bucket=s3_bucket)["Uploads"]
    assert (listed["Key"], listed["UploadId"]) == ("left", upload_id)
    assert keys(s3, s3_bucket) == [], "no object before it is complete"

    s3.abort_multipart_upload(Bucket=s3_bucket, Key="left", UploadId=upload_id)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=s3_bucket)
    again = refusal(lambda: s3.abort_multipart_upload(Bucket=s3_bucket, Key="left", UploadId=upload_id))
    assert again == (404, "NoSuchUpload")


def test_a_body_that_does_not_match_its_checksum_is_refused_and_leaves_nothing(
    s3: Any, s3_bucket: str
) -> None:
    put = refusal(
        lambda: s3.put_object(Bucket=s3_bucket, Key="k", Body=b"sent", ChecksumCRC32=crc32(b"meant"))
    )
    assert put == (400, "BadDigest")
    upload_id = s3.create_multipart_upload(Bucket=s3_bucket, Key="k", ChecksumAlgorithm="CRC32")["UploadId"]
    part = refusal(
        lambda: s3.upload_part(
            Bucket=s3_bucket,
            Key="k",
            UploadId=upload_id,
            PartNumber=1,
            Body=b"sent",
            ChecksumCRC32=crc32(b""),
        )
    )
    assert part == (400, "BadDigest")
    assert keys(s3, s3_bucket) == []


def test_the_owner_of_the_bucket_may_be_demanded(s3: Any, s3_bucket: str) -> None:
    s3.put_object(Bucket=s3_bucket, Key="k", Body=b"", ExpectedBucketOwner=ACCOUNT)
    foreign = refusal(
        lambda: s3.put_object(Bucket=s3_bucket, Key="k", Body=b"", ExpectedBucketOwner=STRANGER)
    )
    assert foreign == (403, "AccessDenied")


def test_an_s3_killed_stopped_and_paused_keeps_its_address_and_its_objects(s3_server: S3Server) -> None:
    endpoint = s3_server.endpoint
    s3, bucket = s3_client(endpoint), make_bucket(endpoint)
    for key, end in (("before", s3_server.kill), ("after", s3_server.stop)):
        written = s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), Metadata={"of": key})
        end()
        assert not s3_server.running
        s3_server.start()
        assert s3_server.endpoint == endpoint
        kept = s3.head_object(Bucket=bucket, Key=key)
        assert (kept["ETag"], kept["Metadata"]) == (written["ETag"], {"of": key})

    s3_server.pause()
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(body, s3, bucket, "before")
        with pytest.raises(TimeoutError):
            reading.result(timeout=0.2)
        s3_server.resume()
        assert reading.result(timeout=30) == b"before"
