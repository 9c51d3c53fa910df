"""`python -m benchmarks.naive`: the loop that everyone writes. boto3, its TypeDeserializer, fastavro, a callback a message.

It keeps no positions, tries nothing again, and reads one shard after the other until they end. With `--values document`
it writes what this project writes, by the same schema: the image as text.
"""

import argparse
import base64
import io
import json
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import boto3
import fastavro
from boto3.dynamodb.types import Binary, TypeDeserializer
from confluent_kafka import Producer

from cdc.model import KeyAttribute
from schemas.envelope import value_schema

Emit = Callable[[bytes, bytes], None]

OPERATIONS = {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}


def _record(name: str, **fields: Any) -> dict[str, Any]:
    """Every attribute may be missing."""
    return {
        "type": "record",
        "name": name,
        "fields": [
            {"name": field, "type": ["null", kind], "default": None} for field, kind in fields.items()
        ],
    }


def _array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def image_schema() -> dict[str, Any]:
    """Of all three shapes; what a shape does not have is null."""
    position = _record("Position", lat="double", lon="double")
    size = _record("Size", x="long", y="long")
    return _record(
        "Image",
        pk="string",
        sk="string",
        state="string",
        changed="long",
        total="double",
        note="string",
        customer="string",
        currency="string",
        quantity="long",
        paid="boolean",
        tags=_array("string"),
        address=_record("Address", street="string", city="string", code="string", position=position),
        lines=_array(
            _record(
                "Line",
                sku="string",
                title="string",
                quantity="long",
                price="double",
                gift="boolean",
                size=size,
            )
        ),
        history=_array(_record("Event", at="long", state="string", by="string")),
        proof="bytes",
    )


def typed_schema() -> Any:
    source = {
        "type": "record",
        "name": "Source",
        "fields": [
            {"name": "table", "type": "string"},
            {"name": "shard", "type": "string"},
            {"name": "sequence", "type": "string"},
            {"name": "ts_ms", "type": "long"},
        ],
    }
    fields = [
        {"name": "before", "type": ["null", image_schema()], "default": None},
        {"name": "after", "type": ["null", "Image"], "default": None},
        {"name": "source", "type": source},
        {"name": "op", "type": "string"},
        {"name": "ts_ms", "type": "long"},
    ]
    return fastavro.parse_schema({"type": "record", "name": "Envelope", "fields": fields})


def document_schema(table: str) -> Any:
    key = (KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
    return fastavro.parse_schema(json.loads(value_schema(table, key, "debezium")))


KEY_SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Key",
        "fields": [{"name": "pk", "type": "string"}, {"name": "sk", "type": "string"}],
    }
)


def plain(value: Any) -> Any:
    """What Avro takes, from what the TypeDeserializer gives."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case Binary():
            return value.value  # type: ignore[attr-defined]  # which the stubs do not know
        case set():
            return sorted(plain(one) for one in value)
        case list():
            return [plain(one) for one in value]
        case dict():
            return {name: plain(one) for name, one in value.items()}
        case _:
            return value


_deserializer = TypeDeserializer()


def typed_image(image: dict[str, Any] | None) -> dict[str, Any] | None:
    if image is None:
        return None
    return {name: plain(_deserializer.deserialize(value)) for name, value in image.items()}


def document_image(image: dict[str, Any] | None, keys: dict[str, Any]) -> dict[str, Any] | None:
    if image is None:
        return None
    text = json.dumps(image, separators=(",", ":"), default=lambda binary: base64.b64encode(binary).decode())
    return {"pk": keys["pk"]["S"], "sk": keys["sk"]["S"], "item": text}


def typed_value(record: dict[str, Any], table: str, shard: str) -> dict[str, Any]:
    change = record["dynamodb"]
    created = round(change["ApproximateCreationDateTime"].timestamp() * 1000)
    sequence = change["SequenceNumber"]
    return {
        "before": typed_image(change.get("OldImage")),
        "after": typed_image(change.get("NewImage")),
        "source": {"table": table, "shard": shard, "sequence": sequence, "ts_ms": created},
        "op": OPERATIONS[record["eventName"]],
        "ts_ms": created,
    }


def document_value(record: dict[str, Any], table: str, shard: str) -> dict[str, Any]:
    change = record["dynamodb"]
    created = round(change["ApproximateCreationDateTime"].timestamp() * 1000)
    sequence = change["SequenceNumber"]
    return {
        "before": document_image(change.get("OldImage"), change["Keys"]),
        "after": document_image(change.get("NewImage"), change["Keys"]),
        "source": {
            "version": "0",
            "connector": "dynamodb",
            "name": "naive",
            "ts_ms": created,
            "snapshot": "false",
            "db": "000000000000.eu-west-1",
            "sequence": sequence,
            "table": table,
            "stream": "",
            "shard": shard,
            "item_version": "",
            "ttl": "userIdentity" in record,
        },
        "op": OPERATIONS[record["eventName"]],
        "ts_ms": created,
    }


def read(client: Any, stream: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Shard and record."""
    more: dict[str, Any] = {}
    while True:
        description = client.describe_stream(StreamArn=stream, **more)["StreamDescription"]
        for shard in description["Shards"]:
            place = {"StreamArn": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = client.get_shard_iterator(**place)["ShardIterator"]
            while iterator:
                answer = client.get_records(ShardIterator=iterator)
                for record in answer["Records"]:
                    yield shard["ShardId"], record
                iterator = answer.get("NextShardIterator")
        if "LastEvaluatedShardId" not in description:
            return
        more = {"ExclusiveStartShardId": description["LastEvaluatedShardId"]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.naive")
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--values", choices=("typed", "document"), default="typed")
    parser.add_argument("--bootstrap", help="of Kafka; without it nothing is sent")
    parser.add_argument("--topic", default="naive")
    arguments = parser.parse_args()
    endpoint = {"endpoint_url": arguments.endpoint, "region_name": "eu-west-1"}
    stream = boto3.client("dynamodb", **endpoint).describe_table(TableName=arguments.table)["Table"][
        "LatestStreamArn"
    ]
    client = boto3.client("dynamodbstreams", **endpoint)
    emit, flush = _null() if arguments.bootstrap is None else _kafka(arguments.bootstrap, arguments.topic)
    if arguments.values == "typed":
        schema, value_of = typed_schema(), typed_value
    else:
        schema, value_of = document_schema(arguments.table), document_value
    count = 0
    for shard, record in read(client, stream):
        keys = record["dynamodb"]["Keys"]
        key, value = io.BytesIO(), io.BytesIO()
        fastavro.schemaless_writer(key, KEY_SCHEMA, {name: one["S"] for name, one in keys.items()})
        fastavro.schemaless_writer(value, schema, value_of(record, arguments.table, shard))
        emit(key.getvalue(), value.getvalue())
        count += 1
    flush()
    print(f"DONE {count}", flush=True)
    sys.stdin.read()  # whoever measures looks at this process before it ends


def _null() -> tuple[Emit, Callable[[], None]]:
    return lambda _key, _value: None, lambda: None


def _kafka(bootstrap: str, topic: str) -> tuple[Emit, Callable[[], None]]:
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": "lz4"}
    )
    failed: list[str] = []

    def emit(key: bytes, value: bytes) -> None:
        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failed.append(str(error))

        while True:
            try:
                producer.produce(topic, key=key, value=value, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)

    def flush() -> None:
        producer.flush()
        if failed:
            raise SystemExit(f"{len(failed)} messages were not delivered: {failed[0]}")

    return emit, flush


if __name__ == "__main__":
    main()
