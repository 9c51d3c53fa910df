"""Every call of whole pipelines against the policies in `deploy/iam`: nothing missing, nothing more.

Each role signs with an access key of its own; a recorder in front of the emulator sees who calls what.
"""

import copy
import json
import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from connectors.state_dynamodb.table import _KEY as STATE_KEY
from tests.command.process import cdc, eventually, running
from tests.dynamodb_streams.canned_server import Reply, error
from tests.iam.actions import Needed, needed
from tests.iam.beside import Aws
from tests.iam.calls import Call, call_of
from tests.iam.comparison import Comparison, compare
from tests.iam.recorder import LOST, recorder
from tests.iam.roles import FOLDER, ROWS, Row, changed, files, text
from tests.replica.fixtures import moto_endpoint

__all__ = ["moto_endpoint"]

KEYS = {"source": "AKIDSOURCE", "state": "AKIDSTATE", "dr": "AKIDREPLICA", "lake": "AKIDLAKE"}
"""Access key id by part of the example."""
LARGE_BYTES = 390_000
LARGE_CHANGES = 44
"""Twice as many as make a multipart upload: they may come to lie in the files of two hours."""
EXAMPLE_REGIONS = {"source": "eu-west-1", "dr": "us-east-1"}


def policy(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((FOLDER / name).read_text("utf-8"))
    return parsed


@pytest.mark.parametrize("name", sorted(files()))
def test_the_policies_are_those_of_the_connectors(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == text(files()[name]), "python -m tests.iam"


def test_the_table_of_the_folder_names_every_file() -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    assert [path.name for path in FOLDER.glob("*.json") if f"| `{path.name}` |" not in readme] == []


@dataclass(frozen=True)
class Life:
    """What a pipeline called in its life, by role."""

    called: Mapping[str, set[Needed]]

    def of(self, row: Row) -> set[Needed]:
        return self.called[KEYS[row.part]]


def live(folder: Path, upstream: str, rows: Sequence[Row]) -> Life:
    """A pipeline of the example with the rows' changes: its first start, changes of every kind, a stop, a second start in
    which each operation of each role fails once, and its end. Of the lake, whose files are small or large, those of small
    ones fail in the first.
    """
    with recorder(upstream) as front:
        tables = Tables(upstream)
        tables.begin({row.part for row in rows if row.changes})
        write(folder, front.url, rows, lake={"flush_after_seconds": 0.2})
        environment = profiles(folder)
        front.answer = each_fails_once(KEYS["lake"])
        tables.put("o-1", 1)
        tables.put("o-2", 1)
        with running(folder, env=environment) as run:
            eventually(lambda: tables.replica() == {"o-1": 1, "o-2": 1}, "the inserts", run=run)
            tables.put("o-1", 2)
            tables.delete("o-2")
            eventually(lambda: tables.replica() == {"o-1": 2}, "update and delete", run=run)
            eventually(lambda: front.count(KEYS["lake"], "PutObject") > 1, "a small file", run=run)
            run.stop()
        write(folder, front.url, rows, lake={"codec": "null", "flush_after_megabytes": 8.5})
        # Without its state a pipeline does not start.
        front.answer = each_fails_once(*(key for part, key in KEYS.items() if part != "state"))
        tables.put("o-3", 1)
        tables.put("o-1", 3)
        with running(folder, env=environment) as run:
            run.event("running")
            front.answer = each_fails_once(*KEYS.values())
            for number in range(LARGE_CHANGES):
                tables.put("large", number, text="x" * LARGE_BYTES)
            eventually(
                lambda: tables.replica() == {"o-1": 3, "o-3": 1, "large": LARGE_CHANGES - 1},
                "changes in spite of faults",
                run=run,
            )
            eventually(lambda: front.count(KEYS["lake"], "HeadObject") > 1, "a large file", run=run)
            tables.delete("o-3")
            tables.delete("large")
            eventually(lambda: tables.replica() == {"o-1": 3}, "the last delete", run=run)
            run.stop()
        tables.end()
        return Life(front.needed())


class Tables:
    """The source and the replica, past the pipeline."""

    def __init__(self, url: str) -> None:
        self._source, self._replica = (
            boto3.client(
                "dynamodb",
                endpoint_url=url,
                region_name=region,
                aws_access_key_id="AKIDTEST",
                aws_secret_access_key="made-up",
            )
            for region in EXAMPLE_REGIONS.values()
        )
        self._bucket(url)

    def _bucket(self, url: str) -> None:
        store = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="eu-west-1",
            aws_access_key_id="AKIDTEST",
            aws_secret_access_key="made-up",
        )
        if not store.list_buckets()["Buckets"]:
            store.create_bucket(
                Bucket="orders-lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )
        store.close()

    def begin(self, made_beforehand: Collection[str] = ()) -> None:
        """`made_beforehand`: the parts whose own tables are there already, instead of being created."""
        key: Any = {
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        }
        stream: Any = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        self._source.create_table(TableName="orders", StreamSpecification=stream, **key)
        self._replica.create_table(TableName="orders", **key)
        if "dr" in made_beforehand:
            self._replica.create_table(TableName="_cdc_orders_tombstones", **key)
        if "state" in made_beforehand:
            self._source.create_table(
                TableName="cdc_state",
                KeySchema=[{"AttributeName": name, "KeyType": role} for name, role, _ in STATE_KEY],
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": kind} for name, _, kind in STATE_KEY
                ],
                BillingMode="PAY_PER_REQUEST",
            )

    def put(self, name: str, total: int, *, text: str = "") -> None:
        item: Any = {"id": {"S": name}, "total": {"N": str(total)}, "text": {"S": text}}
        self._source.put_item(TableName="orders", Item=item)

    def delete(self, name: str) -> None:
        self._source.delete_item(TableName="orders", Key={"id": {"S": name}})

    def replica(self) -> dict[str, int]:
        items = self._replica.scan(TableName="orders")["Items"]
        return {item["id"]["S"]: int(item["total"]["N"]) for item in items}

    def end(self) -> None:
        for client in (self._source, self._replica):
            for table in client.list_tables()["TableNames"]:
                client.delete_table(TableName=table)
        self._source.close()
        self._replica.close()


def write(folder: Path, url: str, rows: Sequence[Row], *, lake: Mapping[str, Any] | None = None) -> None:
    """The example, at the recorder, with a profile for each role instead of the role itself.

    Args:
        lake: settings of the lake that take no permission.
    """
    document = changed(*rows)
    document["sinks"] = [sink for sink in document["sinks"] if sink["name"] in KEYS]
    parts = {name: document[name] for name in ("source", "state")}
    for name, part in (*parts.items(), *((sink["name"], sink) for sink in document["sinks"])):
        for key in ("role_arn", "external_id"):
            part.pop(key, None)
        part |= {"profile": name, "endpoint_url": url}
    document["source"]["idle_poll_seconds"] = 0.05
    document["state"]["checkpoint_seconds"] = 0.1
    next(sink for sink in document["sinks"] if sink["name"] == "lake").update(lake or {})
    document["admin"] = {"port": 0}
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(document), "utf-8")


def profiles(folder: Path) -> dict[str, str]:
    file = folder / "aws-config"
    file.write_text(
        "".join(
            f"[profile {part}]\naws_access_key_id = {key}\naws_secret_access_key = made-up\n"
            for part, key in KEYS.items()
        ),
        "utf-8",
    )
    return {"AWS_CONFIG_FILE": str(file), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


def s3_error(code: str, status: int) -> Reply:
    return Reply(f"<Error><Code>{code}</Code></Error>".encode(), status)


S3_FAULTS = {
    # Carried out without an answer, and unknown from then on: whether the object is there is for HeadObject to say, which
    # fails once itself.
    "CompleteMultipartUpload": (LOST, s3_error("NoSuchUpload", 404), s3_error("NoSuchUpload", 404)),
    # Not tried again by the sink: the file is given up, and its upload aborted; what cannot be is left to the next claim.
    "UploadPart": (s3_error("AccessDenied", 403),),
}
"""What leads from one call of the lake to another; all other operations have a passing failure."""


def faults(call: Call) -> Sequence[Reply]:
    if call.service == "s3":
        return S3_FAULTS.get(call.operation, (s3_error("InternalError", 500),))
    return (error("InternalServerError", 500),)


def each_fails_once(*keys: str) -> Any:
    """Each operation of the callers with these access key ids."""
    made: Counter[tuple[str, str]] = Counter()
    lock = threading.Lock()

    def answer(call: Call) -> Reply | None:
        with lock:
            number = made[call.key, call.operation]
            made[call.key, call.operation] += 1
        fail = faults(call) if call.key in keys else ()
        return fail[number] if number < len(fail) else None

    return answer


@pytest.fixture(scope="module")
def lives(moto_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Life]:
    """By file. A life has one row of each part: what a role calls is its own part's doing."""
    left: dict[str, list[Row]] = {}
    for row in ROWS:
        left.setdefault(row.part, []).append(row)
    found: dict[str, Life] = {}
    for together in zip_longest(*left.values()):
        rows = [row for row in together if row is not None]
        life = live(tmp_path_factory.mktemp("life"), moto_endpoint, rows)
        found |= {row.file: life for row in rows}
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.file)
def test_nothing_missing_and_nothing_more(row: Row, lives: Mapping[str, Life]) -> None:
    assert compare(lives[row.file].of(row), policy(row.file)) == Comparison(set(), set())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.file)
def test_each_action_that_is_taken_away_is_missed(row: Row, lives: Mapping[str, Life]) -> None:
    whole = policy(row.file)
    for number, statement in enumerate(whole["Statement"]):
        for action in statement["Action"]:
            less = copy.deepcopy(whole)
            less["Statement"][number]["Action"].remove(action)
            found = compare(lives[row.file].of(row), less)
            assert {one.action for one in found.missing} == {action}
            assert not found.superfluous


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.file)
def test_each_action_that_nobody_takes_is_found(row: Row, lives: Mapping[str, Life]) -> None:
    whole = policy(row.file)
    for number, statement in enumerate(whole["Statement"]):
        more = copy.deepcopy(whole)
        more["Statement"][number]["Action"].append("dynamodb:DeleteTable")
        more["Statement"][number]["Resource"].append("arn:aws:dynamodb:eu-west-1:000000000000:table/other")
        found = compare(lives[row.file].of(row), more)
        assert not found.missing
        # The new action on each resource, and each action on the new one.
        assert len(found.superfluous) == len(statement["Action"]) + len(statement["Resource"]) + 1


def test_a_check_takes_its_own_permissions_and_no_others(moto_endpoint: str, tmp_path: Path) -> None:
    tables = Tables(moto_endpoint)
    tables.begin({"dr"})
    tables.put("o-1", 1)
    with recorder(moto_endpoint) as front:
        beside = Aws(front)
        beside.callers = {
            KEYS["source"]: "arn:aws:sts::000000000000:assumed-role/orders-cdc-source/cdc",
            KEYS["dr"]: "arn:aws:sts::111111111111:assumed-role/orders-cdc-replica/cdc",
            KEYS["lake"]: "arn:aws:sts::000000000000:assumed-role/orders-cdc-lake/cdc",
            KEYS["state"]: "arn:aws:sts::000000000000:assumed-role/orders-cdc-state/cdc",
        }
        write(tmp_path, front.url, ROWS[:1])
        environment = profiles(tmp_path) | {"AWS_ENDPOINT_URL": front.url}
        done = cdc(tmp_path, "check", "pipeline.yaml", env=environment)
        assert done.code == 0, done.text
        # What a denied call leaves open is simulated, also of the source.
        beside.answers["DescribeTable"] = error("AccessDeniedException")
        assert cdc(tmp_path, "check", "pipeline.yaml", env=environment).code == 2
        called = front.needed()
    tables.end()
    optional = policy("check.json")
    for part, name in (
        ("source", "source.json"),
        ("dr", "sink-replica.json"),
        ("lake", "sink-lake-s3.json"),
        ("state", "state.json"),
    ):
        both = {"Statement": [*policy(name)["Statement"], *optional["Statement"]]}
        assert not compare(called[KEYS[part]], both).missing
    by_anyone = set().union(*called.values())
    assert not compare(by_anyone, optional).superfluous


def test_nobody_else_called(lives: Mapping[str, Life]) -> None:
    for life in lives.values():
        assert set(life.called) == set(KEYS.values())


def test_a_call_without_a_row_fails() -> None:
    with pytest.raises(LookupError, match="no row"):
        needed(Call("AKIDSOURCE", "dynamodb", "RestoreTableFromBackup", {"TargetTableName": "orders"}))


SCOPE = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDLAKE/20260101/eu-west-1/s3/aws4_request, Signature=0"
}


@pytest.mark.parametrize(
    ("method", "path", "actions"),
    [
        ("HEAD", "/lake", {("s3:ListBucket", "lake")}),
        ("GET", "/lake?list-type=2&prefix=orders%2F_cdc", {("s3:ListBucket", "lake")}),
        ("GET", "/lake?uploads", {("s3:ListBucketMultipartUploads", "lake")}),
        ("PUT", "/lake/orders/a.avro", {("s3:PutObject", "lake/orders/a.avro")}),
        ("POST", "/lake/orders/a.avro?uploads", {("s3:PutObject", "lake/orders/a.avro")}),
        ("PUT", "/lake/orders/a.avro?partNumber=1&uploadId=x", {("s3:PutObject", "lake/orders/a.avro")}),
        ("POST", "/lake/orders/a.avro?uploadId=x", {("s3:PutObject", "lake/orders/a.avro")}),
        ("DELETE", "/lake/orders/a.avro?uploadId=x", {("s3:AbortMultipartUpload", "lake/orders/a.avro")}),
        ("GET", "/lake/orders/a.avro", {("s3:GetObject", "lake/orders/a.avro")}),
        ("DELETE", "/lake/orders/dt%3D1/a.avro", {("s3:DeleteObject", "lake/orders/dt=1/a.avro")}),
    ],
)
def test_calls_of_s3_are_read_off_method_path_and_query(
    method: str, path: str, actions: set[tuple[str, str]]
) -> None:
    call = call_of(method, path, SCOPE, b"")
    assert call.key == "AKIDLAKE"
    assert {tuple(one) for one in needed(call)} == actions
