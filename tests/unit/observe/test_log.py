import io
import json
import logging
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from cdc.core.messages import Notice
from cdc.errors import ConfigError, ErrorKind, SinkError
from cdc.model import Place
from cdc.observe.log import FOREIGN, LEVELS, configure, emit_notice
from tests.unit.observe.faults import FAULTS, SECRET, caught

pytestmark = pytest.mark.usefixtures("restored")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure("debug", "auto", stream)
    return stream


def test_a_notice_is_one_json_line(stream: io.StringIO) -> None:
    emit_notice(Notice("warning", "sink-failed", {"sink": "bus", "failures": 3, "reason": "two\nlines"}))
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    assert line == {
        "level": "warning",
        "logger": "cdc.engine",
        "event": "sink-failed",
        "sink": "bus",
        "failures": 3,
        "reason": "two\nlines",
    }


def test_a_notice_may_have_any_field(stream: io.StringIO) -> None:
    names = (
        *(
            "event",
            "level",
            "logger",
            "timestamp",
            "exception",
            "exc_info",
            "self",
            "stack_info",
            "name",
            "msg",
        ),
        *("args", "extra", "positional_args", "method_name", "event_args", "stacklevel"),
    )
    emit_notice(Notice("info", "odd", dict.fromkeys(names, "x")))
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("odd", "info", "cdc.engine")
    assert list(line.values()).count("x") == len(names)


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_counts_for_our_own_lines(level: str) -> None:
    stream = io.StringIO()
    configure(level, "json", stream)
    for name, number in LEVELS.items():
        logging.getLogger("connectors.kafka").log(number, name)
        structlog.get_logger("cdc.runtime").log(number, name)
    heard = [name for name, number in LEVELS.items() if number >= LEVELS[level]]
    assert [line["event"] for line in lines(stream)] == [name for name in heard for _ in range(2)]


@pytest.mark.parametrize(
    "name",
    [
        *FOREIGN,
        "botocore.endpoint",
        "urllib3.connectionpool",
        "some.vendor",
        "connectors.kafka.librdkafka",
        "root",
    ],
)
@pytest.mark.parametrize("lowered", [False, True])
def test_nobody_else_is_heard_below_warning(stream: io.StringIO, name: str, lowered: bool) -> None:
    logger = logging.getLogger(name)
    was = logger.level
    if lowered:
        logger.setLevel(logging.DEBUG)
    logger.debug("body %s", SECRET)
    logger.info("body %s", SECRET)
    logger.warning("careful")
    logger.setLevel(was)
    assert [line["event"] for line in lines(stream)] == [
        "asyncio reports an error" if name == "asyncio" else "careful"
    ]


def test_vendors_do_not_even_build_their_lines(stream: io.StringIO) -> None:
    assert not any(logging.getLogger(name).isEnabledFor(logging.INFO) for name in FOREIGN)


def test_a_vendors_own_handler_is_gone() -> None:
    elsewhere = io.StringIO()
    logger = logging.getLogger("werkzeug")
    logger.addHandler(logging.StreamHandler(elsewhere))
    configure("debug", "json", io.StringIO())
    logger.error("x")
    assert elsewhere.getvalue() == ""


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("name", ["cdc.runtime", "botocore.retries", "asyncio", "concurrent.futures"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_no_form_of_logging_an_exception_shows_its_value(
    form: str, name: str, fault: Callable[[], None]
) -> None:
    stream = io.StringIO()
    configure("debug", form, stream)
    error = caught(fault)
    stdlib, ours = logging.getLogger(name), structlog.get_logger(name)
    for exc_info in (error, (type(error), error, error.__traceback__)):
        stdlib.error("failed", exc_info=exc_info)
        ours.error("failed", exc_info=exc_info)
    try:
        fault()
    except Exception:  # noqa: BLE001 - logged
        stdlib.exception("failed")
        ours.exception("failed")
        ours.error("failed", exc_info=True)
    assert stream.getvalue().count("Traceback") >= 7
    stdlib.error("failed: %s", error)
    stdlib.error("failed: %r", error)
    stdlib.error("failed: %(error)s", {"error": error})
    stdlib.error(error)
    stdlib.error("failed", stack_info=True)
    ours.error("failed: %s", error)
    ours.error(error)
    ours.error("failed", error=error, errors=[error])
    assert SECRET not in stream.getvalue()


def test_only_plain_values_are_written(stream: io.StringIO) -> None:
    item = {"pk": SECRET}
    structlog.get_logger("cdc").info(
        "x", item=item, raw=SECRET.encode(), rows=[item], n=1, f=0.5, none=None, b=True
    )
    structlog.get_logger("cdc").info("x", place=Place.END, kind=ErrorKind.FENCED, names=("a", "b"))
    logging.getLogger("cdc").info("row %s", item, extra={"item": item})
    logging.getLogger("vendor").warning("row %s of %s", item, "t")
    first, second, third, fourth = lines(stream)
    assert SECRET not in stream.getvalue()
    assert (first["item"], first["raw"], first["rows"]) == ("<dict>", "<bytes>", ["<dict>"])
    assert (first["n"], first["f"], first["none"], first["b"]) == (1, 0.5, None, True)
    assert (second["place"], second["kind"], second["names"]) == (2, "fenced", ["a", "b"])
    assert third["event"] == "row <dict>"
    assert fourth["event"] == "row <dict> of t"


def test_our_own_errors_are_written_in_full(stream: io.StringIO) -> None:
    structlog.get_logger("cdc").error("x", error=SinkError(ErrorKind.THROTTLED, "topic orders"))
    assert lines(stream)[0]["error"] == "cdc.errors.SinkError: [throttled] topic orders"


def test_a_foreign_line_ends_with_its_first(stream: io.StringIO) -> None:
    logging.getLogger("werkzeug").error("Error on request:\n%s", SECRET)
    logging.getLogger("vendor").error("100%% of 5%")
    logging.getLogger("vendor").error("")
    assert [line["event"] for line in lines(stream)] == ["Error on request:", "100%% of 5%", ""]


def test_a_line_that_cannot_be_built_is_told_without_its_arguments(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()
    configure("debug", "json", stream)
    logging.getLogger("cdc").info("%d", SECRET)
    assert lines(stream) == [{"event": "log line lost", "logger": "cdc", "reason": "TypeError"}]
    assert capsys.readouterr() == ("", "")


def test_a_closed_stream_stops_nobody(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    stream.close()
    emit_notice(Notice("error", "x", {"a": SECRET}))
    assert capsys.readouterr() == ("", "")


def test_warnings_are_lines_too(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # `catch_warnings` has put back the function that `configure` replaced.
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", stacklevel=1)
    (line,) = lines(stream)
    assert line["logger"] == "py.warnings"
    assert "old" in line["event"]


def test_colours_on_a_terminal_only() -> None:
    for stream, form, colours in (
        (Terminal(), "auto", True),
        (Terminal(), "console", True),
        (io.StringIO(), "console", False),
        (Terminal(), "json", False),
    ):
        configure("info", form, stream)
        emit_notice(Notice("error", "gap", {"shard": "s-1"}))
        assert ("\x1b[" in stream.getvalue()) is colours
        assert "gap" in stream.getvalue()


def test_what_is_logged_cannot_write_to_the_terminal() -> None:
    stream = io.StringIO()
    configure("info", "console", stream)
    emit_notice(Notice("info", "x\x1b[2J", {"reason": "\x1b[31mred\r\nsecond", "table": "\x9b1m"}))
    assert stream.getvalue().count("\n") == 1
    assert not set(stream.getvalue()) & {"\x1b", "\r", "\x9b"}


def test_standard_error_is_where_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    emit_notice(Notice("info", "hello"))
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["event"] == "hello"


def test_the_last_configuration_counts() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("debug", "json", first)
    configure("debug", "json", second)
    emit_notice(Notice("info", "x"))
    assert (first.getvalue(), len(lines(second))) == ("", 1)
    assert sys.excepthook.__module__ == "cdc.observe.crash"


@pytest.mark.parametrize(("level", "form"), [("loud", "json"), ("info", "xml")])
def test_words_that_are_not_known(level: str, form: str) -> None:
    with pytest.raises(ConfigError, match="allowed are"):
        configure(level, form, io.StringIO())
