"""A data lake of Avro files in Hive partitions, on a file system or on S3.

    sinks:
      - name: lake
        type: lake
        url: s3://lake/orders          # or file:///var/lib/orders-lake

Layout under the url, by the time of the change in UTC:

    {table}/dt=YYYY-MM-DD/hour=HH/{pipeline}.{sink}.{writer}-{uuid}.avro
    _cdc/                                  the sink's own; Hive, Spark and Trino pass over names that begin with _

A file appears whole or not at all. Late changes go to a new file in the partition of their own time: partitions never
close. At least once: a crash after files have appeared and before the position is saved writes their rows again, in
other files. Rows carry `__version`, which orders the states of an item and finds the doubles.

One sink, two storages (`connectors.lake.storage`): `connectors.lake.folder` and `connectors.lake.s3`.
"""

from collections.abc import Sequence

from cdc.connector import Seen, SinkConnector, SinkContext, Statement
from cdc.ports import Sink
from connectors.lake.config import LakeConfig

__all__ = ["CONNECTOR", "LakeConfig"]


def _build(config: LakeConfig, context: SinkContext) -> Sink:
    from connectors.lake.sink import LakeSink

    if config.is_s3:
        from connectors.lake.s3.storage import open_lake_bucket

        return LakeSink(config, context, open_lake_bucket(config, context))
    from connectors.lake.folder import LakeFolder

    return LakeSink(config, context, LakeFolder.of(config, context))


def _probe(config: LakeConfig, context: SinkContext) -> Sequence[Seen]:
    if config.is_s3:
        from connectors.lake.s3.probe import probe as probe_bucket

        return probe_bucket(config, context)
    from connectors.lake.probe import probe as probe_folder

    return probe_folder(config.folder(context.base))


def _permissions(config: LakeConfig, context: SinkContext) -> Sequence[Statement]:
    from connectors.lake.permissions import permissions

    return permissions(config)


CONNECTOR = SinkConnector(
    LakeConfig, _build, _probe, envelope="flat", needs_new_image=True, permissions=_permissions
)
