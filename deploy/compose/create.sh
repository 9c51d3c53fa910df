#!/bin/sh
# The source table with its stream, the replica, the lake's bucket: as a first start needs them. Run again, it changes nothing.
set -eu

table() {
    endpoint=$1
    shift
    until aws dynamodb list-tables --endpoint-url "$endpoint" >/dev/null 2>&1; do sleep 1; done
    if ! aws dynamodb describe-table --endpoint-url "$endpoint" --table-name orders >/dev/null 2>&1; then
        aws dynamodb create-table --endpoint-url "$endpoint" --table-name orders --billing-mode PAY_PER_REQUEST \
            --attribute-definitions AttributeName=id,AttributeType=S --key-schema AttributeName=id,KeyType=HASH "$@"
    fi
}

table http://dynamodb:8000 --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES
table http://dynamodb-dr:8000
aws s3api head-bucket --endpoint-url http://s3:7070 --bucket lake 2>/dev/null ||
    aws s3api create-bucket --endpoint-url http://s3:7070 --bucket lake \
        --create-bucket-configuration LocationConstraint=eu-west-1

# Something to look at.
for number in 1 2 3; do
    aws dynamodb put-item --endpoint-url http://dynamodb:8000 --table-name orders \
        --item "{\"id\": {\"S\": \"order-$number\"}, \"total\": {\"N\": \"19.9$number\"}}"
done
