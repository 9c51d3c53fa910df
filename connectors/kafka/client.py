"""librdkafka's edge: its properties, its log, its errors."""

import logging
import re
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from cdc.errors import ErrorKind, SinkError
from connectors.kafka.codes import ABSENT, DENIED
from connectors.kafka.config import STALL_PROPERTIES, KafkaConfig

LOG = logging.getLogger("connectors.kafka.librdkafka")

BATCH_BYTES = 1_000_000
"""librdkafka's default `batch.size`."""

_SECRET_NAME = re.compile(r"password|secret|token|credential|jaas|\.pem$|oauthbearer\.config")
_PROPERTY = re.compile(r'property "?([a-z0-9._]+)')
_NUMBER = re.compile(r"\d+")
_REPEAT_SECONDS = 60.0
"""How long a line is not logged again that differs in nothing but numbers."""
_REMEMBERED_LINES = 100
_HIDDEN = "***"
_SHOWABLE_LENGTH = 3
"""Values of other properties are hidden where they are longer than this: `all` or `5` would blot out half a message."""


class Redaction:
    """Takes the values of properties out of a text."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        values = {
            value
            for name, value in properties.items()
            if value and (_SECRET_NAME.search(name) or len(value) > _SHOWABLE_LENGTH)
        }
        # The longest first: one may be a part of another.
        ordered = sorted(values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(_HIDDEN, text) if self._pattern is not None else text


class LibraryLog:
    """What librdkafka takes for a logger. Without one it writes to stderr, past the operator's log.

    librdkafka logs no payloads; of its properties it hides most secrets, this the rest.
    """

    def __init__(self, redact: Redaction) -> None:
        self._redact = redact
        self._said: dict[str, float] = {}

    def log(self, level: int, template: str, *parts: object) -> None:
        """`parts`: facility, client, text."""
        facility, text = str(parts[0]), template % parts
        if facility == "CONFWARN" and "enable.gapless.guarantee" in text:
            return  # of its being experimental the operator could do nothing: it is the sink's choice
        if facility == "FATAL":
            level = logging.WARNING  # to librdkafka; the sink goes on with a new producer
        if LOG.isEnabledFor(level) and not self._just_said(text):
            LOG.log(level, "%s", self._redact(text))

    def _just_said(self, text: str) -> bool:
        """Brokers that are down are reported with every attempt to reach them, many times a second."""
        gist, now = _NUMBER.sub("0", text), monotonic()
        if now - self._said.get(gist, -_REPEAT_SECONDS) < _REPEAT_SECONDS:
            return True
        if len(self._said) >= _REMEMBERED_LINES:
            self._said.clear()
        self._said[gist] = now
        return False


def library_properties(config: KafkaConfig, *, client: str) -> dict[str, str]:
    """Everything that librdkafka is told, user's properties included.

    `message.timeout.ms=0`: librdkafka never gives a message up. It would do so one by one, and when the cluster returns
    in the middle of that, later messages would arrive without the earlier ones (INTRODUCTION.md, Message timeout
    considerations). The sink watches the time itself and hands back batches, while what librdkafka has keeps its
    order and its idempotent sequence numbers.

    `enable.gapless.guarantee`: likewise for a permanent refusal. Nothing that came later is written until the sink
    begins again, in order, with a new producer.
    """
    user = {name: secret.get_secret_value() for name, secret in config.properties.items()}
    defaults = {
        "client.id": client,
        "compression.type": "lz4",
        # 1 GiB by default; what waits here is a second copy of what the engine's memory budget counts.
        "queue.buffering.max.kbytes": "65536",
        # 10 s by default: a cluster that is back should be found before the next stall.
        "reconnect.backoff.max.ms": "2000",
        # 30 s by default: an absent topic should be reported as such, before the stall.
        "topic.metadata.propagation.max.ms": str(int(min(10.0, config.stall_seconds * 2 / 3) * 1000)),
        "partitioner": "murmur2_random",
    }
    promised = {
        "bootstrap.servers": config.bootstrap_servers,
        "enable.idempotence": "true",
        "enable.gapless.guarantee": "true",
        "message.timeout.ms": "0",
    }
    own = {name: value for name, value in user.items() if name not in STALL_PROPERTIES}
    return defaults | own | promised


def new_producer(
    properties: Mapping[str, str], *, redact: Redaction, on_error: Callable[[KafkaError], None]
) -> Producer:
    """
    Raises:
        SinkError: `CONFIGURATION`, naming the property where librdkafka does; its value is not shown.
    """
    settings: dict[str, Any] = dict(properties)
    try:
        return Producer(settings | {"error_cb": on_error, "logger": LibraryLog(redact)})
    except KafkaException as error:
        text = error.args[0].str()
        named = _PROPERTY.search(text)
        place = f"property {named[1]}: " if named else ""
        raise SinkError(
            ErrorKind.CONFIGURATION,
            f"librdkafka refuses its configuration: {place}{redact(text)}",
            remedy="see CONFIGURATION.md of librdkafka for names and allowed values",
        ) from None


def serve(producer: Producer, seconds: float) -> KafkaError | None:
    """Has the callbacks called for what librdkafka reports, waiting so long for the first; below 0.2 s, `Producer.poll`
    returns once it has served that. A fatal error is returned; the reports behind it come with the next call."""
    try:
        producer.poll(seconds)
    except KafkaException as error:
        # confluent-kafka raises fatal errors here, past `error_cb`.
        fatal: KafkaError = error.args[0]
        if not fatal.fatal():
            raise
        return fatal
    return None


def sink_error(error: KafkaError, *, topic: str | None, redact: Redaction) -> SinkError:
    """What a failure other than a refusal of the records means."""
    code = error.code()
    place = f"topic {topic}: " if topic else ""
    message = f"{place}{redact(error.str())} ({error.name()})"
    if code in DENIED:
        return SinkError(ErrorKind.ACCESS_DENIED, message)
    if code in ABSENT and topic:
        return SinkError(
            ErrorKind.NOT_FOUND,
            message,
            remedy=f"create the topic {topic}, or let the brokers create topics (auto.create.topics.enable)",
        )
    return SinkError(ErrorKind.UNAVAILABLE, message)
