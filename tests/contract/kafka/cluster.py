"""librdkafka's built-in cluster with the controls that its C interface has and its Python one has not."""

import ctypes
import ctypes.util
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import confluent_kafka

PRODUCE = 0
"""Kafka protocol, API keys."""

_PRODUCER = 0


def _library() -> ctypes.CDLL:
    package = Path(confluent_kafka.__file__).parent
    bundled = [
        *package.parent.glob("confluent_kafka.libs/librdkafka[-.]*"),
        *package.glob(".dylibs/librdkafka.*"),
    ]
    name = str(bundled[0]) if bundled else ctypes.util.find_library("rdkafka")
    assert name, "confluent-kafka comes with librdkafka, or finds the system's"
    library = ctypes.CDLL(name)
    for function in (
        "rd_kafka_conf_new",
        "rd_kafka_new",
        "rd_kafka_mock_cluster_new",
    ):
        getattr(library, function).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


class Cluster:
    """A cluster in this process; ended with the context."""

    def __init__(self, brokers: int = 1) -> None:
        self._lib = _library()
        self._brokers = range(1, brokers + 1)
        error = ctypes.create_string_buffer(512)
        conf = ctypes.c_void_p(self._lib.rd_kafka_conf_new())
        # Requests and connections that this cluster cuts are its purpose; nobody needs to read of them.
        self._lib.rd_kafka_conf_set(conf, b"log_level", b"0", error, ctypes.c_size_t(512))
        self._handle = ctypes.c_void_p(
            self._lib.rd_kafka_new(_PRODUCER, conf, error, ctypes.c_size_t(len(error)))
        )
        assert self._handle.value, error.value
        self._cluster = ctypes.c_void_p(self._lib.rd_kafka_mock_cluster_new(self._handle, brokers))
        self.bootstrap_servers = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._handle)

    def create_topic(self, topic: str, *, partitions: int) -> None:
        self._lib.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)

    def fail_topic(self, topic: str, error: int) -> None:
        """Its metadata answers with this protocol error from now on; 0 ends it."""
        self._lib.rd_kafka_mock_topic_set_error(self._cluster, topic.encode(), error)

    def lead(self, topic: str, partition: int, *, broker: int) -> None:
        """Who leads it from now on."""
        self._lib.rd_kafka_mock_partition_set_leader(
            self._cluster, topic.encode(), ctypes.c_int32(partition), ctypes.c_int32(broker)
        )

    def answer(self, api: int, errors: Sequence[int]) -> None:
        """The next requests of this kind get these protocol errors; 0 is an ordinary answer."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._lib.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(api), ctypes.c_size_t(len(errors)), codes
        )

    def answer_well(self, api: int) -> None:
        """Forgets what `answer` was told for requests of this kind."""
        self._lib.rd_kafka_mock_clear_request_errors(self._cluster, ctypes.c_int16(api))

    def down(self, *brokers: int) -> None:
        """Cuts all connections and takes no new ones; to these brokers only, if any are named."""
        for broker in brokers or self._brokers:
            self._lib.rd_kafka_mock_broker_set_down(self._cluster, broker)

    def up(self) -> None:
        for broker in self._brokers:
            self._lib.rd_kafka_mock_broker_set_up(self._cluster, broker)

    def slow(self, milliseconds: int) -> None:
        """Every answer takes this long."""
        for broker in self._brokers:
            self._lib.rd_kafka_mock_broker_set_rtt(self._cluster, broker, milliseconds)
