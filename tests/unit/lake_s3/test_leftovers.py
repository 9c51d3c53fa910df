from cdc.errors import SinkError
from cdc.testing.batches import Table
from cdc.testing.encoding import encode
from connectors.lake import CONNECTOR
from connectors.lake.storage import Names
from tests.s3.lakes import s3_config, s3_context
from tests.s3.server import LoseAnswer, Refuse, S3Server, times
from tests.s3.store import MultipartUpload
from tests.unit.lake_s3.sinks import large, opened, small, wait_for

UUID = "01234567-89ab-cdef-0123-456789abcdef"
HOUR = "orders-lake/orders/dt=2026-01-01/hour=00"
OURS = [f"{HOUR}/pipeline.lake.{n:012x}-{UUID}.avro" for n in range(3)]
FOREIGN = [
    f"{HOUR}/other.lake.0123456789ab-{UUID}.avro",
    f"{HOUR}/pipeline.lake2.0123456789ab-{UUID}.avro",
    f"{HOUR}/pipeline.lak.0123456789ab-{UUID}.avro",
    f"{HOUR}/my-pipeline.lake.0123456789ab-{UUID}.avro",
    f"{HOUR}/pipelinexlake.0123456789ab-{UUID}.avro",
    f"{HOUR}/pipeline.lake.0123456789ab-{UUID}.avro.tmp",
    f"orders-lake/inner/orders/dt=2026-01-01/hour=00/pipeline.lake.0123456789ab-{UUID}.avro",
    f"orders-lake2/orders/dt=2026-01-01/hour=00/pipeline.lake.0123456789ab-{UUID}.avro",
    f"orders/dt=2026-01-01/hour=00/pipeline.lake.0123456789ab-{UUID}.avro",
    "orders-lake/somebody/else's.bin",
]


def test_a_claim_aborts_what_a_dead_writer_left_and_nothing_else(s3: S3Server) -> None:
    """Over several pages of the listing."""
    for number, key in enumerate([*OURS, *FOREIGN]):
        s3.store.uploads[f"{number}"] = MultipartUpload(key)
    with opened(s3):
        assert {upload.key for upload in s3.store.uploads.values()} == set(FOREIGN)
    assert s3.operations().count("AbortMultipartUpload") == len(OURS)


def test_nothing_is_aborted_before_the_claim(s3: S3Server) -> None:
    s3.store.uploads["1"] = MultipartUpload(OURS[0])
    sink = CONNECTOR.build(s3_config(s3.url), s3_context())
    sink.open()
    assert s3.store.uploads
    sink.close(deadline=1)


def test_a_second_claim_leaves_what_this_writer_has_in_progress(s3: S3Server) -> None:
    shard = Table().shard()
    with opened(s3, shard) as sink:
        receipt = sink.write(encode(large(shard)))
        sink.claim([shard.key])
        sink.flush(deadline=10).result(10)
        receipt.durable.result(0)


def test_an_upload_whose_beginning_was_not_answered_goes_with_the_next_claim(s3: S3Server) -> None:
    shard = Table().shard()
    s3.fault = times(1, LoseAnswer(), "CreateMultipartUpload")
    with opened(s3, shard) as sink:
        sink.write(encode(large(shard)))
    assert len(s3.store.uploads) == 1
    with opened(s3):
        pass
    assert not s3.store.uploads


def test_what_could_not_be_given_up_goes_when_the_sink_is_opened_again(s3: S3Server) -> None:
    shard = Table().shard()
    with opened(s3, shard) as sink:
        s3.fault = times(2, Refuse("AccessDenied", 403), "UploadPart", "AbortMultipartUpload")
        batch = large(shard)
        assert sink.write(encode(batch)).durable.exception(10)
        wait_for(lambda: "AbortMultipartUpload" in s3.operations())
        assert len(s3.store.uploads) == 1
        sink.open()
        assert not s3.store.uploads


def test_a_writer_whose_uploads_were_taken_hands_its_batches_back(s3: S3Server) -> None:
    shard = Table().shard()
    with opened(s3, shard) as zombie:
        stale = zombie.write(encode(large(shard)))
        stale.accepted.result(10)
        wait_for(lambda: "UploadPart" in s3.operations())
        with opened(s3, shard):
            pass
        assert isinstance(zombie.flush(deadline=10).exception(10), SinkError)
        assert isinstance(stale.durable.exception(0), SinkError)
    assert not s3.store.objects


def test_names_are_never_used_twice_and_tell_their_owner() -> None:
    names, others = Names("orders", "lake"), Names("orders", "lake")
    names.begin_writer()
    others.begin_writer()
    made = {names.new() for _ in range(100)}
    assert len(made) == 100
    assert not any(names.is_of_an_earlier_writer(name) for name in made)
    assert all(others.is_of_an_earlier_writer(name) for name in made)
    assert not any(Names("orders-lake", "lake").is_of_an_earlier_writer(name) for name in made)


def test_the_probe_changes_nothing(s3: S3Server) -> None:
    s3.store.uploads["1"] = MultipartUpload(OURS[0])
    s3.store.uploads["2"] = MultipartUpload(FOREIGN[0])
    lines = [str(line) for line in CONNECTOR.probe(s3_config(s3.url), s3_context())]
    assert "bucket lake answers" in lines[0]
    assert "1 uploads of pipeline.lake" in lines[-1]
    assert set(s3.operations()) == {"ListMultipartUploads"}
    assert len(s3.store.uploads) == 2


def test_the_calls_that_are_made_are_the_permissions_that_are_named(s3: S3Server) -> None:
    shard = Table().shard()
    s3.fault = times(1, LoseAnswer(), "CompleteMultipartUpload")
    with opened(s3, shard) as sink:
        sink.write(encode(large(shard)))
        sink.flush(deadline=10).result(10)
        sink.write(encode(small(shard)))
        sink.flush(deadline=10).result(10)
        s3.fault = times(3, Refuse("SlowDown", 503), "UploadPart")
        assert sink.write(encode(large(shard))).durable.exception(10)
    needed = {
        "PutObject": "s3:PutObject",
        "CreateMultipartUpload": "s3:PutObject",
        "UploadPart": "s3:PutObject",
        "CompleteMultipartUpload": "s3:PutObject",
        "AbortMultipartUpload": "s3:AbortMultipartUpload",
        "HeadObject": "s3:GetObject",
        "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    }
    assert set(s3.operations()) == set(needed)
    statements = CONNECTOR.permissions(s3_config(s3.url), s3_context())
    assert {action for statement in statements for action in statement.actions} == set(needed.values())
    resources = {resource for statement in statements for resource in statement.resources}
    assert resources == {"arn:aws:s3:::lake/orders-lake/*", "arn:aws:s3:::lake"}
