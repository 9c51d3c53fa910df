"""The log: one line per event on standard error, JSON for machines, colour for a terminal.

No line holds an item's value, whatever the level (`cdc.observe.crash` says how exceptions are written):

- a field or argument that is no number, text, truth value, or a list of them, is written as the name of its type;
- loggers that are not this project's are heard from WARNING on: their debug lines hold requests and answers in full.
  Of what they say, the first line is taken.
"""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from cdc.core.messages import Notice
from cdc.errors import ConfigError
from cdc.observe.crash import crash_report, describe, install_crash_hooks
from cdc.observe.plain import printable

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]

LEVELS: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

OURS = ("cdc", "connectors", "schemas")
"""The roots of the loggers that promise to log no values. All others are foreign."""

BRIDGES = ("librdkafka", "confluent_kafka")
"""Foreign wherever they stand in a logger's name: what a C library says through a logger of a connector."""

FOREIGN = (
    *(
        "aiohttp",
        "amazon_kclpy",
        "asyncio",
        "boto3",
        "botocore",
        "concurrent",
        "confluent_kafka",
        "fastavro",
        "flask",
    ),
    *(
        "httpcore",
        "httpx",
        "librdkafka",
        "moto",
        "openapi_spec_validator",
        "pyarrow",
        "requests",
        "responses",
    ),
    *("s3transfer", "sqlalchemy", "urllib3", "werkzeug"),
)
"""Those whose level is set too, so that they don't even build their lines. The rest is kept out by the handler."""

_WITHHELD = ("asyncio",)
"""Their messages quote the arguments of calls."""

_FIRST = ("timestamp", "level", "logger", "event")
_RESERVED = frozenset(
    {*_FIRST, "exc_info", "stack_info", "exception", "positional_args", "self", "name", "method_name"}
)
"""Names that mean something to structlog, or to those who read the lines."""


def configure(
    level: str = "info",
    format: str = "auto",  # noqa: A002 - the option's own name
    stream: TextIO | None = None,
) -> None:
    """Sends all logs of this process to `stream` (standard error), and crashes too (`install_crash_hooks`).

    May be called again; the last call counts.

    Args:
        level: of this project's own lines; foreign ones are never heard below WARNING.
        format: `auto` is `console` on a terminal and `json` elsewhere. `console` has colours on a terminal only, and
            none where `NO_COLOR` would be honoured by the caller giving a stream that is no terminal.
        stream: text stream; lines end with a newline.

    Raises:
        ConfigError: unknown level or format.
    """
    if level not in LEVELS:
        raise ConfigError(f"log level {printable(level)!r}: allowed are {', '.join(LEVELS)}")
    if format not in ("auto", "json", "console"):
        raise ConfigError(f"log format {printable(format)!r}: allowed are auto, json, console")
    stream = stream if stream is not None else sys.stderr
    terminal = stream.isatty()
    as_json = format == "json" or (format == "auto" and not terminal)

    handler = Handler(stream)
    handler.setFormatter(_formatter(as_json=as_json, colors=terminal))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for name in FOREIGN:
        foreign = logging.getLogger(name)
        foreign.handlers.clear()
        foreign.propagate = True
        foreign.setLevel(max(logging.WARNING, LEVELS[level]))
    logging.captureWarnings(capture=True)

    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            _safe_arguments,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    install_crash_hooks()


def emit_notice(notice: Notice) -> None:
    """What the engine wants the operator to read, as a log line of `cdc.engine`."""
    fields = {f"{name}_" if name in _RESERVED else name: value for name, value in notice.fields.items()}
    structlog.stdlib.get_logger("cdc.engine").log(LEVELS[notice.level], notice.event, **fields)


class Handler(logging.StreamHandler[TextIO]):
    """The one handler: keeps out what foreign loggers say below WARNING, also if somebody lowered their levels."""

    writes_crashes = True

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING or _is_ours(record.name):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - overrides
        """Python's own prints the message with its arguments."""
        error = sys.exc_info()[1]
        reason = describe(error) if error is not None else "unknown"
        try:
            self.stream.write(
                json.dumps({"event": "log line lost", "logger": record.name, "reason": reason}) + "\n"
            )
            self.flush()
        except (OSError, ValueError):
            # The stream itself is broken or closed: there is nowhere left to say so.
            return


def _is_ours(name: str) -> bool:
    parts = name.split(".")
    return parts[0] in OURS and not any(part in BRIDGES for part in parts)


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Makes a foreign record safe before anything reads its message."""

    def format(self, record: logging.LogRecord) -> str:
        if hasattr(record, "_logger"):
            # From structlog: the message is a dictionary, whose values `_safe_fields` looks at.
            return super().format(record)
        safe = logging.makeLogRecord(record.__dict__)
        safe.msg = str(_safe(safe.msg))
        if isinstance(safe.args, tuple):
            safe.args = tuple(_safe(value) for value in safe.args)
        elif isinstance(safe.args, Mapping):
            # A single dictionary is taken for one of names, also where it is an argument like any other.
            named = {name: _safe(value) for name, value in safe.args.items()}
            safe.args = named if "%(" in safe.msg else (_safe(safe.args),)
        if not _is_ours(safe.name):
            safe.msg, safe.args = _first_line(safe), ()
        return super().format(safe)


def _first_line(record: logging.LogRecord) -> str:
    if record.name.split(".")[0] in _WITHHELD:
        return f"{record.name} reports an error"
    # A literal percent sign stays one: `args` is empty from here on, and nothing is formatted again.
    return (record.getMessage().splitlines() or [""])[0]


def _formatter(*, as_json: bool, colors: bool) -> logging.Formatter:
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _crash_fields,
        _exception,
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        _safe_fields,
    ]
    rendering: list[Processor]
    if as_json:
        rendering = [structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        rendering = [
            _printable_fields,
            structlog.dev.ConsoleRenderer(
                colors=colors, force_colors=colors, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    return _Formatter(processors=[*shared, *rendering])


def _safe_arguments(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """`log.info("text %s", argument)`, before the argument becomes text."""
    if "positional_args" in event:
        event["positional_args"] = tuple(_safe(value) for value in event["positional_args"])
    return event


def _crash_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What a crash hook adds to its record."""
    event.update(getattr(event["_record"], "crash", {}))
    return event


def _exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """`exc_info`, in all the forms that it is given in, becomes a `crash_report`."""
    given: Any = event.pop("exc_info", None) or event["_record"].exc_info
    if given is True:
        given = sys.exc_info()
    if isinstance(given, Sequence):
        given = given[1]
    if isinstance(given, BaseException):
        event["exception"] = crash_report(given)
    return event


def _safe_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """And in the order in which a line is read."""
    event.pop("stack_info", None)
    first = {name: event.pop(name) for name in _FIRST if name in event}
    return {name: _safe(value) for name, value in {**first, **event}.items()}


def _safe(value: object) -> object:
    if isinstance(value, BaseException):
        return describe(value)
    if isinstance(value, Enum):
        return _safe(value.value)
    if isinstance(value, str | PurePath):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(member) for member in value]
    return f"<{type(value).__qualname__}>"


def _printable_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {
        name: printable(value) if isinstance(value, str) and name != "exception" else value
        for name, value in event.items()
    }
