import threading
import time
from zlib import crc32

import pytest

from cdc.errors import ErrorKind, SinkError
from cdc.model import Batch
from cdc.testing.batches import Table
from cdc.testing.content import content_of, once
from cdc.testing.encoding import encode
from tests.lake_files import content_of_files
from tests.s3.server import Damage, Fault, Hold, LoseAnswer, LoseRequest, Refuse, S3Server, times
from tests.s3.store import Request, crc_text
from tests.unit.lake_s3.sinks import large, opened, small, wait_for


def holds(s3: S3Server, *batches: Batch) -> bool:
    return once(content_of_files(s3.store.objects)) == once(content_of(batches))


def test_a_small_file_is_one_call(s3: S3Server) -> None:
    shard = Table().shard()
    batch = small(shard)
    with opened(s3, shard) as sink:
        receipt = sink.write(encode(batch))
        assert receipt.accepted.done()
        assert s3.operations() == ["ListMultipartUploads"] * 2, "it is neither sent nor visible yet"
        sink.flush(deadline=10).result(10)
        assert receipt.durable.done()
    assert s3.operations()[2:] == ["PutObject"]
    (key,) = s3.store.objects
    assert key.startswith("orders-lake/orders/dt=2026-01-01/hour=00/pipeline.lake.")
    assert holds(s3, batch)


def test_a_large_one_is_invisible_until_it_is_complete(s3: S3Server) -> None:
    shard = Table().shard()
    batches = [large(shard), large(shard), small(shard)]
    with opened(s3, shard) as sink:
        receipts = [sink.write(encode(batch)) for batch in batches]
        wait_for(lambda: s3.operations().count("UploadPart") == 2)
        assert not s3.store.objects
        assert not any(receipt.durable.done() for receipt in receipts)
        sink.flush(deadline=10).result(10)
    assert s3.operations()[2:] == ["CreateMultipartUpload", *["UploadPart"] * 3, "CompleteMultipartUpload"]
    assert not s3.store.uploads
    assert holds(s3, *batches)


def test_every_upload_carries_its_checksums(s3: S3Server) -> None:
    """The store compares both with what arrived; whether they are there is looked at here."""
    shard, other = Table("orders").shard(), Table("users").shard()
    with opened(s3, shard, other) as sink:
        sink.write(encode(large(shard)))
        sink.write(encode(small(other)))
    for call in s3.calls:
        carries = "x-amz-checksum-crc32" in call.headers
        assert carries == (call.operation in ("PutObject", "UploadPart"))
        assert "x-amz-content-sha256" in call.headers
        for announced in ("x-amz-sdk-checksum-algorithm", "x-amz-trailer", "content-encoding"):
            assert announced not in call.headers, "older stores refuse it"
    (complete,) = [call for call in s3.calls if call.operation == "CompleteMultipartUpload"]
    for part in [call for call in s3.calls if call.operation == "UploadPart"]:
        assert crc_text(part.body).encode() in complete.body


def test_for_a_store_without_checksums_the_signature_covers_the_data(s3: S3Server) -> None:
    shard = Table().shard()
    batch = large(shard)
    with opened(s3, shard, checksum="none") as sink:
        sink.write(encode(batch))
    assert not [name for call in s3.calls for name in call.headers if "checksum" in name]
    assert not [call for call in s3.calls if b"Checksum" in call.body and call.operation != "UploadPart"]
    assert holds(s3, batch)


@pytest.mark.parametrize(
    "operation", ["PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"]
)
@pytest.mark.parametrize("fault", [LoseRequest(), LoseAnswer(), Refuse("SlowDown", 503), Refuse("InternalError", 500)],
                         ids=["lost-request", "lost-answer", "slow-down", "error-500"])  # fmt: skip
def test_a_passing_failure_costs_no_file(s3: S3Server, operation: str, fault: Fault) -> None:
    shard = Table().shard()
    batch = small(shard) if operation == "PutObject" else large(shard)
    s3.fault = times(2, fault, operation)
    with opened(s3, shard) as sink:
        receipt = sink.write(encode(batch))
        sink.flush(deadline=10).result(10)
        receipt.durable.result(0)
        assert "AbortMultipartUpload" not in s3.operations()
    assert holds(s3, batch)
    assert len(s3.store.objects) == 1
    asked = isinstance(fault, LoseAnswer) and operation == "CompleteMultipartUpload"
    assert s3.operations().count("HeadObject") == asked


def test_an_error_in_an_answer_with_200_is_an_error(s3: S3Server) -> None:
    shard = Table().shard()
    s3.fault = times(3, Refuse("InternalError", 200), "CompleteMultipartUpload")
    with opened(s3, shard) as sink:
        receipt = sink.write(encode(large(shard)))
        sink.flush(deadline=10).exception(10)
        error = receipt.durable.exception(0)
        assert isinstance(error, SinkError)
        assert error.kind is ErrorKind.UNAVAILABLE
        assert "InternalError" in error.message
    assert s3.operations().count("CompleteMultipartUpload") == 3
    assert not s3.store.objects


@pytest.mark.parametrize("operation", ["PutObject", "UploadPart", "CompleteMultipartUpload"])
def test_what_the_store_has_is_compared(s3: S3Server, operation: str) -> None:
    shard = Table().shard()
    s3.fault = times(3, Damage(), operation)
    with opened(s3, shard) as sink:
        receipt = sink.write(encode(small(shard) if operation == "PutObject" else large(shard)))
        sink.flush(deadline=10).exception(10)
        error = receipt.durable.exception(0)
        assert isinstance(error, SinkError)
        assert error.kind in {ErrorKind.UNAVAILABLE, ErrorKind.MALFORMED}
        assert "another checksum" in error.message


def test_an_upload_that_somebody_aborted_is_handed_back(s3: S3Server) -> None:
    shard = Table().shard()
    batch = large(shard)
    with opened(s3, shard) as sink:
        receipt = sink.write(encode(batch))
        wait_for(lambda: s3.operations().count("UploadPart") == 1)
        s3.store.uploads.clear()
        assert isinstance(sink.flush(deadline=10).exception(10), SinkError)
        error = receipt.durable.exception(0)
        assert isinstance(error, SinkError)
        assert error.kind is ErrorKind.UNAVAILABLE
        assert "NoSuchUpload" in error.message
        assert not s3.store.objects
        again = sink.write(encode(batch))
        sink.flush(deadline=10).result(10)
        again.durable.result(0)
    assert holds(s3, batch)


def test_an_object_of_another_size_is_not_this_file(s3: S3Server) -> None:
    """What an answer that was lost left behind has all bytes."""
    shard = Table().shard()

    def truncated(request: Request) -> Fault | None:
        if request.operation == "CompleteMultipartUpload":
            s3.store.uploads.clear()
            s3.store.objects[request.key] = b"another"
        return None

    s3.fault = truncated
    with opened(s3, shard) as sink:
        receipt = sink.write(encode(large(shard)))
        sink.flush(deadline=10).exception(10)
        assert isinstance(receipt.durable.exception(0), SinkError)


def test_what_lasts_is_handed_back_and_leaves_nothing_behind(s3: S3Server) -> None:
    shard, other = Table("orders").shard(), Table("users").shard()
    with opened(s3, shard, other) as sink:
        receipts = [sink.write(encode(large(shard))), sink.write(encode(large(other)))]
        wait_for(lambda: s3.operations().count("UploadPart") == 2)
        s3.fault = times(1, Refuse("AccessDenied", 403), "UploadPart")  # no reason to ask again
        receipts.append(sink.write(encode(large(shard))))
        for receipt in receipts:
            error = receipt.durable.exception(10)
            assert isinstance(error, SinkError)
            assert error.kind is ErrorKind.ACCESS_DENIED
            assert error.remedy == "allow s3:PutObject"
        wait_for(lambda: not s3.store.uploads)
    assert not s3.store.objects


def test_an_error_holds_nothing_of_what_was_to_be_uploaded(s3: S3Server) -> None:
    shard = Table().shard()
    s3.fault = times(99, Refuse("AccessDenied", 403, message="canonical request"), "PutObject")
    with opened(s3, shard) as sink:
        receipt = sink.write(encode(small(shard)))
        sink.flush(deadline=10).exception(10)
        error = receipt.durable.exception(0)
    assert error is not None
    assert error.__context__ is None
    assert "canonical" not in str(error)


def test_parts_are_sent_while_more_is_written(s3: S3Server) -> None:
    """A call that hangs holds up neither `write` nor other files, nor `flush`, whose time is up."""
    slow, quick = Table("slow").shard(), Table("quick").shard()
    hold = Hold(threading.Event())
    s3.fault = lambda request: hold if "/slow/" in request.key and request.operation == "UploadPart" else None
    with opened(s3, slow, quick) as sink:
        first = large(slow)
        receipts = [sink.write(encode(first))]
        assert hold.reached.acquire(timeout=10)
        more = large(slow)
        receipts.append(sink.write(encode(more)))
        other = small(quick)
        receipts.append(sink.write(encode(other)))
        assert all(receipt.accepted.done() for receipt in receipts)
        flushed = sink.flush(deadline=0.2)
        receipts[-1].durable.result(10)
        assert isinstance(flushed.exception(10), SinkError)
        assert not receipts[0].durable.done()
        hold.event.set()
        sink.flush(deadline=10).result(10)
        assert all(receipt.durable.done() for receipt in receipts)
    assert holds(s3, first, more, other)


def test_it_closes_in_time_while_a_call_hangs(s3: S3Server) -> None:
    shard = Table().shard()
    hold = Hold(threading.Event())
    s3.fault = lambda request: hold if request.operation == "UploadPart" else None
    with opened(s3, shard) as sink:
        receipt = sink.write(encode(large(shard)))
        assert hold.reached.acquire(timeout=10)
        began = time.monotonic()
        sink.close(deadline=0.1)
        assert time.monotonic() - began < 3
        assert isinstance(receipt.durable.exception(0), SinkError)
        hold.event.set()
    assert not s3.store.objects


def test_a_shard_that_is_released_is_durable(s3: S3Server) -> None:
    shard = Table().shard()
    with opened(s3, shard) as sink:
        receipt = sink.write(encode(large(shard)))
        sink.release([shard.key])
        receipt.durable.result(0)


def test_the_checksum_is_the_one_of_the_standard() -> None:
    assert crc_text(b"123456789") == "y/Q5Jg=="
    assert crc32(b"123456789") == 0xCBF43926
