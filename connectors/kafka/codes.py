# ruff: noqa: SLF001 - librdkafka's own errors are named with an underscore in front, and public
"""Error codes, by what they mean to the sink (Kafka protocol, error codes; librdkafka, `rd_kafka_resp_err_t`)."""

from confluent_kafka import KafkaError

FATAL = KafkaError._FATAL
ALL_BROKERS_DOWN = KafkaError._ALL_BROKERS_DOWN

RECORD_REFUSALS = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
    }
)
"""What a broker answers about the records themselves: the same ones are refused again, however often they are sent. The
answer is about a whole batch of records, of which one may be the cause, or only their number."""

SIDE_EFFECTS = frozenset(
    {
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
        KafkaError._INVALID_DIFFERENT_RECORD,
        KafkaError._FATAL,
    }
)
"""Reports of messages that failed because another one did."""

DENIED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)

ABSENT = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
