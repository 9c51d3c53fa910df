"""What a later version will have: refused by name with "not in this version".

Only looked up for what the models refuse, so a connector that learns a value needs no change here.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from cdc.config.problems import Loc

LATER: Mapping[str, tuple[str, ...]] = {
    "schema.mode": ("typed", "declared"),
    "schema.registry.type": ("glue",),
    "schema.on_mismatch": (),
    "source.type": ("kinesis", "kcl"),
    "source.start": ("snapshot",),
    "source.max_read_units_per_second": (),
    "source.transforms": (),
    "sinks.*.schema.mode": ("typed", "declared"),
    "sinks.*.schema.on_mismatch": (),
    "sinks.*.transforms": (),
    "sinks.kafka.delivery": ("exactly-once",),
    "sinks.lake.format": ("parquet", "jsonl"),
    "sinks.replica.guard": ("side-table", "none"),
    "dead_letters.type": ("s3", "sqs", "kafka"),
    "transforms": (),
    "runtime": ("kcl", "lambda"),
}
"""Key → values; a sink has its type where the list has an index. Without values: the key itself."""


def later(loc: Loc, sink_type: str, value: object) -> str:
    """What a later version knows of this key and value: the value, or the key whatever it says; empty: nothing."""
    path = ".".join(sink_type if isinstance(part, int) else part for part in loc)
    for pattern, values in LATER.items():
        if not fnmatchcase(path, pattern):
            continue
        if not values:
            return str(loc[-1])
        for known in values:
            if isinstance(value, str) and fnmatchcase(value, known):
                return known.removesuffix("*")
    return ""
