"""Which permissions a call takes: one row for each API operation.

Source: Service Authorization Reference, "Actions, resources, and condition keys for" Amazon DynamoDB, Amazon S3, AWS STS,
AWS Lambda, Amazon CloudWatch, AWS Identity and Access Management; for transactions the Developer Guide of DynamoDB, "Using
IAM with DynamoDB transactions"; for ACLs and encryption the API reference of S3, `PutObject` and `CreateMultipartUpload`,
"Permissions".
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tests.iam.calls import Call

ANY = "*"
"""A resource that the call does not name, or that the action does not have."""


class Needed(NamedTuple):
    action: str
    resource: str
    """What stands after the account in its ARN: `table/orders`; of S3 `bucket` or `bucket/key`."""


Row = Callable[[Call], Iterator[Needed]]


def _table(call: Call) -> Iterator[Needed]:
    if "TableName" in call.arguments:  # without one it is refused, whoever asks
        yield Needed(f"dynamodb:{call.operation}", f"table/{call.arguments['TableName']}")


_OF_ITEMS = {
    "Put": "PutItem",
    "Delete": "DeleteItem",
    "Update": "UpdateItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


def _transaction(call: Call) -> Iterator[Needed]:
    """There is no permission of the transaction's own name."""
    for item in call.arguments["TransactItems"]:
        for verb, action in item.items():
            yield Needed(f"dynamodb:{_OF_ITEMS[verb]}", f"table/{action['TableName']}")


def _tables(call: Call) -> Iterator[Needed]:
    for table in call.arguments["RequestItems"]:
        yield Needed(f"dynamodb:{call.operation}", f"table/{table}")


def _stream(call: Call) -> Iterator[Needed]:
    yield Needed(f"dynamodb:{call.operation}", _resource_of(call.arguments["StreamArn"]))


def _iterator(call: Call) -> Iterator[Needed]:
    """An iterator begins with its stream's ARN."""
    yield Needed("dynamodb:GetRecords", _resource_of(call.arguments["ShardIterator"].partition("|")[0]))


def _resource_of(arn: str) -> str:
    """Of an emulator's name or a key's id, which are no ARNs: any."""
    return arn.split(":", 5)[5] if arn.startswith("arn:") else ANY


def _unnamed(action: str) -> Row:
    def row(call: Call) -> Iterator[Needed]:
        yield Needed(action, ANY)

    return row


def _role(call: Call) -> Iterator[Needed]:
    yield Needed("sts:AssumeRole", _resource_of(call.arguments["RoleArn"]))


def _principal(call: Call) -> Iterator[Needed]:
    yield Needed("iam:SimulatePrincipalPolicy", _resource_of(call.arguments["PolicySourceArn"]))


def _nothing(call: Call) -> Iterator[Needed]:
    """STS API reference, GetCallerIdentity: no permissions are required."""
    yield from ()


def _bucket(action: str) -> Row:
    def row(call: Call) -> Iterator[Needed]:
        yield Needed(action, call.arguments["Bucket"])

    return row


def _object(action: str) -> Row:
    def row(call: Call) -> Iterator[Needed]:
        yield Needed(action, f"{call.arguments['Bucket']}/{call.arguments['Key']}")

    return row


def _new_object(call: Call) -> Iterator[Needed]:
    """The header of an ACL takes the permission to set it, that of a KMS key the key's own: a data key for the object;
    of a multipart upload also to decrypt it, for the parts and the end, which carry no such header themselves.
    """
    place = f"{call.arguments['Bucket']}/{call.arguments['Key']}"
    yield Needed("s3:PutObject", place)
    if "Acl" in call.arguments:
        yield Needed("s3:PutObjectAcl", place)
    if "KmsKey" in call.arguments:
        key = _resource_of(call.arguments["KmsKey"])
        yield Needed("kms:GenerateDataKey", key)
        if call.operation == "CreateMultipartUpload":
            yield Needed("kms:Decrypt", key)


ROWS: Mapping[tuple[str, str], Row] = {
    **{
        ("dynamodb", operation): _table
        for operation in (
            "CreateTable",
            "DeleteItem",
            "DeleteTable",
            "DescribeKinesisStreamingDestination",
            "DescribeTable",
            "DescribeTimeToLive",
            "GetItem",
            "PutItem",
            "Query",
            "Scan",
            "UpdateItem",
            "UpdateTable",
            "UpdateTimeToLive",
        )
    },
    ("dynamodb", "BatchGetItem"): _tables,
    ("dynamodb", "BatchWriteItem"): _tables,
    ("dynamodb", "TransactGetItems"): _transaction,
    ("dynamodb", "TransactWriteItems"): _transaction,
    ("dynamodb", "ListStreams"): _unnamed("dynamodb:ListStreams"),
    ("dynamodb", "DescribeStream"): _stream,
    ("dynamodb", "GetShardIterator"): _stream,
    ("dynamodb", "GetRecords"): _iterator,
    ("sts", "AssumeRole"): _role,
    ("sts", "GetCallerIdentity"): _nothing,
    ("iam", "SimulatePrincipalPolicy"): _principal,
    ("lambda", "ListEventSourceMappings"): _unnamed("lambda:ListEventSourceMappings"),
    ("monitoring", "GetMetricData"): _unnamed("cloudwatch:GetMetricData"),
    ("s3", "HeadBucket"): _bucket("s3:ListBucket"),
    ("s3", "ListObjects"): _bucket("s3:ListBucket"),
    ("s3", "ListObjectsV2"): _bucket("s3:ListBucket"),
    ("s3", "ListMultipartUploads"): _bucket("s3:ListBucketMultipartUploads"),
    ("s3", "GetBucketLocation"): _bucket("s3:GetBucketLocation"),
    ("s3", "GetBucketVersioning"): _bucket("s3:GetBucketVersioning"),
    ("s3", "GetBucketEncryption"): _bucket("s3:GetEncryptionConfiguration"),
    ("s3", "GetObject"): _object("s3:GetObject"),
    ("s3", "HeadObject"): _object("s3:GetObject"),
    ("s3", "PutObject"): _new_object,
    ("s3", "CreateMultipartUpload"): _new_object,
    ("s3", "UploadPart"): _object("s3:PutObject"),
    ("s3", "CompleteMultipartUpload"): _object("s3:PutObject"),
    ("s3", "AbortMultipartUpload"): _object("s3:AbortMultipartUpload"),
    ("s3", "ListParts"): _object("s3:ListMultipartUploadParts"),
    ("s3", "DeleteObject"): _object("s3:DeleteObject"),
    ("s3", "DeleteObjects"): _bucket("s3:DeleteObject"),
}


def needed(call: Call) -> list[Needed]:
    """
    Raises:
        LookupError: of an operation without a row: find out what it takes, and add one.
    """
    row = ROWS.get((call.service, call.operation))
    if row is None:
        raise LookupError(f"{call.service} {call.operation}: no row in {__name__}")
    return list(row(call))
