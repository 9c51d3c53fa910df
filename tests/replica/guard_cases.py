"""What the guard promises, at a real DynamoDB: a subclass has a fixture `endpoint`."""

import random
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.session import Session

from cdc.connector import SinkContext
from cdc.errors import ErrorKind, SinkError
from cdc.model import Durability, KeyAttribute, version
from cdc.ports import Sink
from cdc.testing.batches import CREATED_MS, stream_of
from cdc.testing.content import canonical
from cdc.testing.sink_run import SinkRun, SystemClock
from connectors.replica.answers import read
from connectors.replica.guard import VERSIONED
from connectors.replica.keys import canonical_key, tombstone_id
from connectors.replica.sink import ReplicaSink
from connectors.replica.transport import Transport
from connectors.replica.wire import Values, Wire
from tests.replica.model import UNVERSIONED, VERSIONS, Table, execute
from tests.replica.proxy import Fault, Garbage, LoseAnswer, LoseRequest, Proxy, Refuse, times
from tests.replica.records import batch_of, change
from tests.replica.tables import Replica, config, names_of

PK = KeyAttribute("pk", "S")
A = {"pk": {"S": "a"}}
WRITES = ("PutItem", "TransactWriteItems")
PLANTED = "planted-4711-value"


class GuardCases:
    @pytest.fixture(autouse=True)
    def set_up(self, endpoint: str, tmp_path: Path) -> Iterator[None]:
        self.base = tmp_path
        self.replica = Replica(endpoint, *names_of(tmp_path))
        with Proxy(endpoint) as self.proxy:
            yield

    def make(self, context: SinkContext) -> Sink:
        configuration = config(
            self.proxy.url, table=self.replica.table, tombstones={"table": self.replica.tombstones}
        )
        return ReplicaSink(configuration, context, budget_seconds=0.5)

    def deliver(
        self, *batches: Sequence[Mapping[str, Any]], key: tuple[KeyAttribute, ...] = (PK,), **table: Any
    ) -> list[Durability]:
        """Another process with its own sink: nothing is remembered from one to the next."""
        if not self.replica.exists():
            self.replica.key = key
            self.replica.create(**table)
        with SinkRun(self.make, self.base) as run:
            receipts = [run.write(batch_of(records, key=key)) for records in batches]
            run.flush()
            return run.wait(*receipts)

    def failure(self, records: Sequence[Mapping[str, Any]], **more: Any) -> SinkError:
        if not self.replica.exists():
            self.replica.create()
        with SinkRun(self.make, self.base) as run:
            return run.failure(run.write(batch_of(records, **more)))

    def number(self) -> str | None:
        """The attribute `n` of the item `a`."""
        item = self.replica.get(A)
        return None if item is None else item["n"]["N"]

    def test_a_late_put_does_not_bring_a_deleted_item_back(self) -> None:
        put, update = change("INSERT", 1, A, {"n": {"N": "1"}}), change("MODIFY", 2, A, {"n": {"N": "2"}})
        self.deliver([put], [update], [change("REMOVE", 3, A)])
        self.deliver([put])
        self.deliver([update])
        assert self.number() is None

    def test_a_remove_of_a_missing_item_stops_the_put_that_it_overtook(self) -> None:
        self.deliver([change("REMOVE", 2, A)])
        assert self.replica.tombstone(A) is not None
        self.deliver([change("INSERT", 1, A, {"n": {"N": "1"}})])
        assert self.number() is None

    def test_a_late_remove_neither_deletes_nor_lowers_the_tombstone(self) -> None:
        self.deliver([change("REMOVE", 5, A)], [change("INSERT", 6, A, {"n": {"N": "6"}})])
        self.deliver([change("REMOVE", 3, A)])
        assert self.number() == "6"
        tombstone = self.replica.tombstone(A)
        assert tombstone is not None
        assert tombstone["_cdc_version"] == {"S": version(CREATED_MS, "5")}

    def test_a_late_update_does_not_overwrite_a_newer_state(self) -> None:
        self.deliver([change("INSERT", 1, A, {"n": {"N": "1"}})], [change("MODIFY", 9, A, {"n": {"N": "9"}})])
        self.deliver([change("MODIFY", 5, A, {"n": {"N": "5"}})])
        assert self.number() == "9"

    def test_longer_sequence_numbers_are_newer(self) -> None:
        self.deliver([change("INSERT", 10, A, {"n": {"N": "10"}})])
        self.deliver([change("MODIFY", 9, A, {"n": {"N": "9"}})])
        assert self.number() == "10"

    def test_an_item_that_was_put_back_after_its_delete_stays(self) -> None:
        self.deliver([change("INSERT", 1, A, {"n": {"N": "1"}})], [change("REMOVE", 2, A)])
        self.deliver([change("INSERT", 3, A, {"n": {"N": "3"}})])
        assert self.number() == "3"

    def test_an_update_of_an_item_that_is_missing_puts_it(self) -> None:
        self.deliver([change("MODIFY", 4, A, {"n": {"N": "4"}})])
        assert self.number() == "4"
        assert self.proxy.operations()[-2:] == ["PutItem", "TransactWriteItems"]

    @pytest.mark.parametrize("event", ["INSERT", "MODIFY", "REMOVE"])
    def test_an_item_of_a_restored_backup_is_older_than_any_change(self, event: str) -> None:
        self.replica.create()
        self.replica.put({**A, "n": {"N": "0"}})
        self.deliver([change(event, 7, A, {"n": {"N": "7"}})])
        assert self.number() == (None if event == "REMOVE" else "7")

    @pytest.mark.parametrize(
        ("event", "fault"),
        [
            ("INSERT", LoseAnswer()),
            ("MODIFY", LoseAnswer()),
            ("REMOVE", LoseAnswer()),
            ("MODIFY", LoseRequest()),
            ("MODIFY", Garbage()),
            ("MODIFY", Garbage(503)),
        ],
        ids=str,
    )
    def test_a_call_without_an_answer_is_made_again(self, event: str, fault: Fault) -> None:
        self.deliver([change("INSERT", 1, A, {"n": {"N": "1"}})])
        self.proxy.fault = times(1, fault, *WRITES)
        (durability,) = self.deliver([change(event, 7, A, {"n": {"N": "7"}})])
        assert not durability.rejects
        assert self.number() == (None if event == "REMOVE" else "7")
        assert (self.replica.tombstone(A) is not None) == (event == "REMOVE")

    @pytest.mark.parametrize(
        "refusal",
        [
            Refuse("ProvisionedThroughputExceededException"),
            Refuse("ThrottlingException"),
            Refuse("RequestLimitExceeded"),
            Refuse("TransactionConflictException"),
            Refuse("InternalServerError", 500),
            *(
                Refuse(
                    "TransactionCanceledException",
                    more={"CancellationReasons": [{"Code": "None"}, {"Code": code, "Message": PLANTED}]},
                )
                for code in ("ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict")
            ),
        ],
        ids=str,
    )
    def test_throttles_and_conflicts_pass(self, refusal: Refuse) -> None:
        self.proxy.fault = times(2, refusal, *WRITES)
        self.deliver([change("INSERT", 1, A, {"n": {"N": "1"}})])
        assert self.number() == "1"
        assert self.proxy.operations().count("TransactWriteItems") == 3

    @pytest.mark.parametrize(
        ("refusal", "kind"),
        [
            (Refuse("ThrottlingException"), ErrorKind.THROTTLED),
            (Refuse("InternalServerError", 500), ErrorKind.UNAVAILABLE),
            (Refuse("ResourceNotFoundException"), ErrorKind.NOT_FOUND),
            (Refuse("AccessDeniedException"), ErrorKind.ACCESS_DENIED),
            (Refuse("ExpiredTokenException"), ErrorKind.ACCESS_DENIED),
            (Refuse("UnrecognizedClientException"), ErrorKind.ACCESS_DENIED),
            (Refuse("SerializationException"), ErrorKind.INVALID_REQUEST),
        ],
        ids=str,
    )
    def test_what_does_not_pass_hands_the_batch_back(self, refusal: Refuse, kind: ErrorKind) -> None:
        refusal = Refuse(refusal.code, refusal.status, message=PLANTED)
        self.proxy.fault = times(1000, refusal, *WRITES)
        error = self.failure([change("INSERT", 1, A, {"n": {"S": PLANTED}})])
        assert error.kind is kind
        assert refusal.code in error.message
        assert PLANTED not in chain_text(error)

    def test_a_table_that_is_gone_is_not_found(self) -> None:
        self.replica.create()
        with SinkRun(self.make, self.base) as run:
            self.replica.client.delete_table(TableName=self.replica.table)
            error = run.failure(run.write(batch_of([change("MODIFY", 1, A, {"n": {"N": "1"}})])))
        assert error.kind is ErrorKind.NOT_FOUND
        assert "has to exist" in error.remedy

    def test_an_item_with_a_version_of_its_own_is_refused_and_the_state_before_it_is_written(self) -> None:
        own = change("MODIFY", 3, A, {"_cdc_version": {"S": PLANTED}})
        (durability,) = self.deliver(
            [change("INSERT", 1, A, {"n": {"N": "1"}}), change("MODIFY", 2, A, {"n": {"N": "2"}}), own]
        )
        (reject,) = durability.rejects
        assert (reject.sequence, reject.kind) == ("3", ErrorKind.REJECTED)
        assert msgspec.json.decode(reject.record) == own
        assert PLANTED not in reject.reason
        assert self.number() == "2"

    def test_a_replica_with_versions_of_somebody_else_is_left_alone(self) -> None:
        self.leaves_alone({"S": "v7"})

    def leaves_alone(self, foreign: Mapping[str, Any]) -> None:
        self.replica.create()
        self.replica.put({**A, "n": {"N": "0"}, "_cdc_version": foreign})
        (durability,) = self.deliver([change("MODIFY", 3, A, {"n": {"N": "3"}})])
        assert [reject.kind for reject in durability.rejects] == [ErrorKind.REJECTED]
        assert self.number() == "0"

    def test_records_without_a_key_or_an_image_are_refused(self) -> None:
        (durability,) = self.deliver(
            [
                change("INSERT", 1, None, {"n": {"N": "1"}}),
                change("INSERT", 2, {"other": {"S": "x"}}, {"n": {"N": "2"}}),
                change("INSERT", 3, {"pk": {"N": "1"}}, {"n": {"N": "3"}}),
                change("INSERT", 4, A, {"n": {"N": "4"}}),
                change("MODIFY", 5, A),
                change("MODIFY", 6, A, {"pk": {"S": "b"}}),
            ]
        )
        assert [reject.sequence for reject in durability.rejects] == ["1", "2", "3", "5", "6"]
        assert {reject.kind for reject in durability.rejects} == {ErrorKind.UNENCODABLE}
        assert self.number() == "4"

    def test_numbers_that_are_equal_are_one_key(self) -> None:
        key = (KeyAttribute("id", "N"), KeyAttribute("at", "B"))
        at = {"at": {"B": "AP8="}}
        self.deliver(
            [
                change("INSERT", 1, {"id": {"N": "100"}, **at}, {"n": {"N": "1"}}),
                change("REMOVE", 2, {"id": {"N": "1E+2"}, **at}),
            ],
            key=key,
        )
        assert self.replica.items() == []
        assert self.replica.tombstone({"id": {"N": "100.0"}, **at}) is not None
        assert self.proxy.operations().count("TransactWriteItems") == 1

    def test_a_batch_writes_each_item_once(self) -> None:
        records = [change("INSERT", 1, A, {"n": {"N": "1"}})]
        records += [change("MODIFY", n, A, {"n": {"N": str(n)}}) for n in range(2, 50)]
        self.deliver(records)
        assert self.number() == "49"
        assert [operation for operation in self.proxy.operations() if operation in WRITES] == [
            "TransactWriteItems"
        ]

    def test_values_arrive_as_they_were(self) -> None:
        values = {
            "precise": {"N": "12345678901234567890123456789012345678"},
            "tiny": {"N": "0." + "0" * 129 + "1"},
            "text": {"S": '"\\\u2028\x00'},
            "deep": {"M": {"a.b": {"L": [{"NULL": True}, {"SS": ["b", "a"]}]}}},
        }
        self.deliver([change("INSERT", 1, A, values)])
        item = self.replica.get(A)
        assert item is not None
        del item["_cdc_version"]
        assert canonical(item) == canonical({**A, **values})

    def test_a_tombstone_expires_after_its_days(self) -> None:
        before = SystemClock().now().wall
        self.deliver([change("REMOVE", 1, A)])
        tombstone = self.replica.tombstone(A)
        assert tombstone is not None
        assert 0 <= int(tombstone["expires_at"]["N"]) - int(before) - 7 * 86400 < 60
        ttl = self.replica.client.describe_time_to_live(TableName=self.replica.tombstones)
        assert ttl["TimeToLiveDescription"]["AttributeName"] == "expires_at"
        assert ttl["TimeToLiveDescription"]["TimeToLiveStatus"] in {"ENABLED", "ENABLING"}

    def test_the_source_itself_is_no_replica(self) -> None:
        self.replica.create()
        self.replica.client.update_table(
            TableName=self.replica.table,
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        table = self.replica.client.describe_table(TableName=self.replica.table)["Table"]
        stream = replace(stream_of("orders"), arn=table["LatestStreamArn"])
        own = batch_of([change("INSERT", 1, A, {"n": {"N": "1"}})], stream=stream)
        with SinkRun(self.make, self.base) as run:
            error = run.failure(run.write(own))
        assert error.kind is ErrorKind.CONFIGURATION
        assert "source table itself" in error.message

    def test_a_replica_with_another_key_takes_nothing(self) -> None:
        error = self.failure([change("INSERT", 1, {"id": {"S": "a"}}, {})], key=(KeyAttribute("id", "S"),))
        assert error.kind is ErrorKind.CONFIGURATION
        assert "pk (S)" in error.message
        assert "id (S)" in error.message

    def test_the_models_table_and_this_one_agree(self) -> None:
        """What was proved on the model holds here: same requests, same outcomes, same states."""
        self.replica.create()
        self.deliver()
        rng = random.Random(7)
        wire = Wire(self.replica.table, self.replica.tombstones, "pk")
        transport = Transport(
            Session(),
            endpoint_url=self.proxy.upstream.geturl(),
            region="eu-west-1",
            connections=1,
            count_call=counts_nothing,
        )
        requests = [VERSIONED.update, VERSIONED.insert, VERSIONED.delete]
        for history in range(12):
            keys = {"pk": {"S": f"model-{history}"}}
            raw = msgspec.json.encode(keys)
            id_ = tombstone_id(self.replica.table, canonical_key(msgspec.Raw(raw), (PK,)))
            model = Table(rng.choice([None, UNVERSIONED]), None)
            if model.item == UNVERSIONED:
                self.replica.put(keys)
            for _ in range(12):
                number = rng.randrange(len(VERSIONS))
                request = rng.choice(requests)
                item = raw[:-1] + b',"_cdc_version":{"S":"' + VERSIONS[number].encode() + b'"}}'
                values = Values(VERSIONS[number], raw, item, id_, 2_000_000_000)
                answer = transport.post(*wire.call(request, values))
                failed = read(answer, request, self.replica.table)
                model, expected = execute(model, request, number)
                assert (failed or [None] * len(request)) == expected
                assert version_of(self.replica.get(keys)) == name_of(model.item)
                assert version_of(self.replica.tombstone(keys)) == name_of(model.tombstone)
        transport.close()


def counts_nothing(operation: str, outcome: str) -> None:
    """Stands where the metrics are."""


def version_of(item: Mapping[str, Any] | None) -> str | None:
    return None if item is None else item.get("_cdc_version", {"S": "none"})["S"]


def name_of(number: int | None) -> str | None:
    if number is None:
        return None
    return "none" if number == UNVERSIONED else VERSIONS[number]


def chain_text(error: BaseException) -> str:
    """All that a log could show of an error."""
    return "".join(traceback.format_exception(error))
