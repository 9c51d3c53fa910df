"""Scenario 14: an attribute flips from S to N and back.

In mode `document`, which is what this version has, a table's schema depends on its key alone: whatever the attribute is, there
is one schema for ever, and a registry's compatibility level has nothing to compare. What is missing until mode `typed` is
there: variants of a field under BACKWARD and FULL. The level is asked of a stub that knows both, and by
`tests/integration/registry` of a real server.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from cdc.errors import RegistryError
from cdc.ports import SchemaRegistry
from schemas.attribute_value import same_item
from schemas.registry.confluent import Access, ConfluentRegistry
from schemas.registry.files import FilesRegistry
from tests.conformance.oracle import Kind, Oracle
from tests.conformance.scenario import Trial, conformance
from tests.conformance.values import ENVELOPES, item_of, shipped
from tests.conformance.world import MINUTE, World
from tests.schema_registry.stub import Stub

_VALUES = (
    {"S": "7"},
    {"N": "7"},
    {"S": "seven"},
    {"NULL": True},
    {"N": "7.5"},
    {"L": [{"S": "7"}]},
    {"S": ""},
)
_AVRO = {"S": "string", "N": "double", "NULL": "null"}


@contextmanager
def _registry(level: str) -> Iterator[SchemaRegistry]:
    if level == "files":
        with TemporaryDirectory() as folder:
            yield FilesRegistry(Path(folder))
        return
    stub = Stub(compatibility=level).start()
    try:
        yield ConfluentRegistry(Access([stub.url]))
    finally:
        stub.stop()


@conformance(14, "files", "BACKWARD", "FULL")
def test_a_type_that_changes_stops_nothing(trial: Trial, case: str) -> None:
    world = trial.world(seed=14)
    subject = trial.subject(world)
    subject.start()
    written = []
    for value in _VALUES:
        item = {"pk": {"S": "item"}, "grade": value}
        world.sim.call("PutItem", {"TableName": World.TABLE, "Item": item})
        written.append(item_of(item))
        world.advance(10.0)
    world.advance(MINUTE)
    oracle = Oracle(subject)
    oracle.complete()
    oracle.in_order()
    with _registry(case) as registry:
        for place in world.destinations.values():
            if subject.name == "naive":
                _inferred(oracle, registry, [one.record["dynamodb"]["NewImage"] for one in place.arrived])
                continue
            for envelope in ENVELOPES:
                read = shipped(subject, World.TABLE, place.arrived, envelope, registry)
                last = {one.sequence: one.item or {} for one in read}
                for change, one in zip(oracle.log, written, strict=True):
                    if not same_item(last.get(change.sequence, {}), one):
                        oracle.wrong(Kind.ALTERED, f"{envelope} {change.sequence}")
    oracle.done()


def _inferred(oracle: Oracle, registry: SchemaRegistry, images: list[dict[str, dict[str, object]]]) -> None:
    """A field has the type of what comes by (Tipoca-stream, 264: the pipeline stops; else its readers do)."""
    ids = set()
    for image in images:
        fields = [
            {"name": name, "type": _AVRO.get(next(iter(value)), "bytes")} for name, value in image.items()
        ]
        schema = msgspec.json.encode({"type": "record", "name": "Row", "fields": fields}).decode()
        try:
            ids.add(registry.register("orders-value", schema).id)
        except RegistryError as error:
            oracle.wrong(Kind.STOPPED, str(error))
            return
    if len(ids) > 1:
        oracle.wrong(Kind.ALTERED, f"{len(ids)} schemas, none of which reads the others' rows")
