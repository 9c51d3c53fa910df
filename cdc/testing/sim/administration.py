"""CreateTable, DeleteTable, DescribeTable, ListTables, UpdateTable and the two of TTL."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from cdc.testing.sim.catalogue import Catalogue, table_name
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.items import KeySchema
from cdc.testing.sim.requests import Request, Response, bounded, check_members, choice, invalid, required
from cdc.testing.sim.table import StreamSettings, Table

MOST_KEY_NAME_BYTES = 255
VIEW_TYPES = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")
KEY_TYPES = ("B", "N", "S")
BILLING_MODES = ("PROVISIONED", "PAY_PER_REQUEST")
MOST_TABLES_LISTED = 100
_SETTINGS = ("BillingMode", "ProvisionedThroughput", "StreamSpecification", "DeletionProtectionEnabled")


class Administration:
    """Operations on tables as such. Secondary indexes, replicas, encryption and backups are not simulated."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def handlers(self) -> Mapping[str, Callable[[Request], Response]]:
        return {
            "CreateTable": self.create_table,
            "DeleteTable": self.delete_table,
            "DescribeTable": self.describe_table,
            "ListTables": self.list_tables,
            "UpdateTable": self.update_table,
            "UpdateTimeToLive": self.update_time_to_live,
            "DescribeTimeToLive": self.describe_time_to_live,
        }

    def create_table(self, request: Request) -> Response:
        check_members(
            request, ("TableName", "KeySchema", "AttributeDefinitions", "Tags", "TableClass", *_SETTINGS)
        )
        catalogue = self._catalogue
        name = table_name(required(request, "TableName"))
        key = _key_schema(required(request, "KeySchema"), required(request, "AttributeDefinitions"))
        billing = choice(request, "BillingMode", BILLING_MODES, "PROVISIONED")
        view_type = _view_type(request.get("StreamSpecification"))
        if catalogue.find(name) is not None:
            raise ServiceError("ResourceInUseException", f"Table already exists: {name}")
        now = catalogue.now()
        table = Table(
            name=name,
            arn=f"arn:aws:dynamodb:{catalogue.region}:{catalogue.account}:table/{name}",
            table_id=str(UUID(int=catalogue.rng.getrandbits(128), version=4)),
            created_at=now,
            key=key,
            stale_seconds=catalogue.behaviour.stale_read_seconds,
            billing_mode=billing,
            throughput=_throughput(request, billing),
            protected=request.get("DeletionProtectionEnabled", False),
            active_at=now + catalogue.behaviour.table_seconds,
        )
        catalogue.tables[name] = table
        if view_type is not None:
            self._enable(table, view_type)
        return {"TableDescription": self._describe(table)}

    def delete_table(self, request: Request) -> Response:
        check_members(request, ("TableName",))
        catalogue = self._catalogue
        table = catalogue.named(request)
        self._check_active(table)
        if table.protected:
            raise invalid(
                "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first."
            )
        table.gone_at = catalogue.now() + catalogue.behaviour.table_seconds
        description = self._describe(table)
        self._disable(table)
        return {"TableDescription": description}

    def describe_table(self, request: Request) -> Response:
        check_members(request, ("TableName",))
        return {"Table": self._describe(self._catalogue.named(request))}

    def list_tables(self, request: Request) -> Response:
        check_members(request, ("Limit", "ExclusiveStartTableName"))
        limit = bounded(request, "Limit", 1, MOST_TABLES_LISTED) or MOST_TABLES_LISTED
        after = request.get("ExclusiveStartTableName", "")
        names = [
            name
            for name in sorted(self._catalogue.tables)
            if name > after and self._catalogue.find(name) is not None
        ]
        page: Response = {"TableNames": names[:limit]}
        if len(names) > limit:
            page["LastEvaluatedTableName"] = names[limit - 1]
        return page

    def update_table(self, request: Request) -> Response:
        check_members(request, ("TableName", "AttributeDefinitions", "TableClass", *_SETTINGS))
        table = self._catalogue.named(request)
        if not any(name in request for name in (*_SETTINGS, "TableClass")):
            raise invalid(
                "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or "
                "SSESpecification or ReplicaUpdates is required"
            )
        self._check_active(table)
        if "StreamSpecification" in request:
            self._update_stream(table, request["StreamSpecification"])
        if "BillingMode" in request or "ProvisionedThroughput" in request:
            table.billing_mode = choice(request, "BillingMode", BILLING_MODES, table.billing_mode)
            table.throughput = _throughput(request, table.billing_mode)
        table.protected = request.get("DeletionProtectionEnabled", table.protected)
        table.been_active = True
        table.active_at = self._catalogue.now() + self._catalogue.behaviour.table_seconds
        return {"TableDescription": self._describe(table)}

    def update_time_to_live(self, request: Request) -> Response:
        check_members(request, ("TableName", "TimeToLiveSpecification"))
        specification = required(request, "TimeToLiveSpecification")
        attribute, enabled = required(specification, "AttributeName"), required(specification, "Enabled")
        table = self._catalogue.named(request)
        self._check_active(table)
        if table.ttl_attribute is not None and table.ttl_attribute != attribute:
            raise invalid("TimeToLive is active on a different AttributeName")
        if enabled == (table.ttl_attribute is not None):
            raise invalid(f"TimeToLive is already {'enabled' if enabled else 'disabled'}")
        table.ttl_attribute = attribute if enabled else None
        return {"TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": attribute}}

    def describe_time_to_live(self, request: Request) -> Response:
        check_members(request, ("TableName",))
        attribute = self._catalogue.named(request).ttl_attribute
        if attribute is None:
            return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": attribute}}

    def _check_active(self, table: Table) -> None:
        status = self._catalogue.status(table)
        if status != "ACTIVE":
            raise ServiceError(
                "ResourceInUseException",
                f"Attempt to change a resource which is still in use: Table is being changed: {table.name}",
            )

    def _update_stream(self, table: Table, specification: Mapping[str, Any]) -> None:
        view_type = _view_type(specification)
        enabled = table.stream is not None and table.stream.enabled
        # ValidationException for both, whatever the Developer Guide says (ScyllaDB's tests against the service).
        if view_type is None:
            if not enabled:
                raise invalid("Table has no stream to disable")
            self._disable(table)
        elif enabled:
            raise invalid("Table already has an enabled stream")
        else:
            self._enable(table, view_type)

    def _enable(self, table: Table, view_type: str) -> None:
        arn, label = self._catalogue.streams.enable(table.name, table.arn, view_type, table.key)
        table.stream = StreamSettings(arn, label, view_type)

    def _disable(self, table: Table) -> None:
        if table.stream is not None and table.stream.enabled:
            table.stream.enabled = False
            self._catalogue.streams.disable(table.stream.arn)

    def _describe(self, table: Table) -> Response:
        key = table.key
        kinds = {key.partition: key.partition_type} | ({} if key.sort is None else {key.sort: key.sort_type})
        description: Response = {
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": kind} for name, kind in sorted(kinds.items())
            ],
            "TableName": table.name,
            "KeySchema": key.wire(),
            "TableStatus": self._catalogue.status(table),
            "CreationDateTime": round(table.created_at, 3),
            "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, **table.throughput},
            "TableSizeBytes": table.measured(),
            "ItemCount": len(table.items),
            "TableArn": table.arn,
            "TableId": table.table_id,
            "DeletionProtectionEnabled": table.protected,
        }
        if table.billing_mode == "PAY_PER_REQUEST":
            description["BillingModeSummary"] = {"BillingMode": table.billing_mode}
        if table.stream is not None:
            if table.stream.enabled:
                description["StreamSpecification"] = {
                    "StreamEnabled": True,
                    "StreamViewType": table.stream.view_type,
                }
            # These stay when the stream is disabled; the specification goes.
            description |= {"LatestStreamArn": table.stream.arn, "LatestStreamLabel": table.stream.label}
        return description


def _view_type(specification: Mapping[str, Any] | None) -> str | None:
    """None: no stream."""
    if specification is None:
        return None
    if not required(specification, "StreamEnabled"):
        if "StreamViewType" in specification:
            raise invalid("StreamViewType must not be given where StreamEnabled is false")
        return None
    return choice(
        {"StreamViewType": required(specification, "StreamViewType")}, "StreamViewType", VIEW_TYPES, ""
    )


def _throughput(request: Request, billing: str) -> dict[str, int]:
    given = request.get("ProvisionedThroughput")
    if billing == "PAY_PER_REQUEST":
        if given is not None:
            raise invalid(
                "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be "
                "specified when BillingMode is PAY_PER_REQUEST"
            )
        return {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
    if given is None:
        raise invalid(
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified "
            "when BillingMode is PROVISIONED"
        )
    bounded(given, "ReadCapacityUnits", 1)
    bounded(given, "WriteCapacityUnits", 1)
    return {name: required(given, name) for name in ("ReadCapacityUnits", "WriteCapacityUnits")}


def _key_schema(schema: list[Mapping[str, str]], definitions: list[Mapping[str, str]]) -> KeySchema:
    kinds = {required(one, "AttributeName"): required(one, "AttributeType") for one in definitions}
    if any(kind not in KEY_TYPES for kind in kinds.values()):
        raise invalid(f"Member must satisfy enum value set: [{', '.join(KEY_TYPES)}]")
    if [one.get("KeyType") for one in schema] not in (["HASH"], ["HASH", "RANGE"]):
        raise invalid("Invalid KeySchema: it has one HASH key, and at most one RANGE key after it")
    names = [required(one, "AttributeName") for one in schema]
    if any(not 1 <= len(name.encode()) <= MOST_KEY_NAME_BYTES for name in names):
        raise invalid("A key's name has between 1 and 255 bytes")
    if len(set(names)) < len(names):
        raise invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    if set(names) - kinds.keys():
        raise invalid(
            "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions."
        )
    if len(names) < len(definitions):
        raise invalid(
            "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of "
            "attributes defined in AttributeDefinitions"
        )
    if len(names) == 1:
        return KeySchema(names[0], kinds[names[0]])
    return KeySchema(names[0], kinds[names[0]], names[1], kinds[names[1]])
