import io
from dataclasses import replace

import pytest
from rich.console import Console

from cdc.core.messages import Stop
from cdc.model import ShardKey
from cdc.observe.document import Report
from cdc.observe.page import render, to_text
from cdc.observe.plain import duration, printable, utc
from cdc.observe.report import report
from tests.unit.observe.statuses import AT, GAP, HALTED, STATUS, lane
from tests.unit.observe.test_report import FACTS, HEALTHY, OFFLINE, ONE, SAVED

FOUND = report(STATUS, FACTS, at=AT)


def row(text: str, *words: str) -> str:
    """The one line that has all of these words, with single spaces."""
    (line,) = (line for line in text.splitlines() if all(word in line.split() for word in words))
    return " ".join(line.split())


def test_the_page_reads_from_the_alarms_down() -> None:
    text = to_text(FOUND)
    titles = ["Pipeline orders", "Alarms (4)", "Sinks", "Counts", "Halted shards"]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)


def test_every_alarm_has_its_remedy_below() -> None:
    lines = to_text(FOUND).splitlines()
    for alarm in FOUND.alarms:
        (at,) = (number for number, line in enumerate(lines) if f"{alarm.about}: {alarm.message}" in line)
        assert alarm.severity.upper() in lines[at]
        assert lines[at + 1].strip() == f"do: {alarm.remedy}"


def test_a_sink_with_its_table() -> None:
    text = to_text(FOUND)
    assert row(text, "bus", "up") == "bus up orders 3s 23h 59m 2025-12-31T23:58:56Z 2 flowing, 1 waiting"
    assert row(text, "lake", "up") == "lake up orders 11h 06m 12h 53m - 1 ending, 1 halted"
    assert row(text, "dr", "down") == "dr down orders - - - none"
    assert row(text, "bus", "kafka") == "bus kafka 10 3 4 4 0"


def test_a_halted_shard_says_why_and_what_to_do() -> None:
    line = row(to_text(FOUND), "lake", "shardId-2", "orders", "decide")
    assert GAP.reason in line
    assert "decide with `cdc positions reset`" in line


def test_gaps_stay_on_the_page_whatever_was_decided() -> None:
    """Those that wait first, then the newest; positions that were set by hand are no gaps."""
    skipped = replace(
        GAP,
        sink="bus",
        kind="vanished",
        decision="skipped",
        decided_at=AT - 50,
        count=2,
        last_found_at=AT - 50,
    )
    summed = replace(skipped, shard=ShardKey("", "all of them"), sink="dr", certain=True)
    by_hand = replace(GAP, kind="reset", decision="reset to latest", decided_at=AT, sink="bus")
    text = to_text(report(HEALTHY, replace(ONE, gaps=[skipped, summed, GAP, by_hand]), at=AT), width=300)
    assert row(text, "vanished", "bus").split()[3:7] == ["orders", "shardId-2", "may", "be"]
    assert "2 times until 2026-01-01T00:00:10Z skipped at 2026-01-01T00:00:10Z" in row(
        text, "vanished", "bus"
    )
    assert "gone by now are lost" in row(text, "vanished", "dr")
    assert row(text, "trimmed", "lake").endswith("waits for one")
    assert text.index("waits for one") < text.index("skipped at")
    assert row(text, "reset").endswith("bus orders shardId-2 reset to latest")


def test_what_holds_a_shard_up() -> None:
    slow = replace(lane("bus", "shardId-1"), waits_for="sink bus has not accepted a batch for 300 s")
    text = to_text(report(replace(HEALTHY, lanes=(slow,)), ONE, at=AT))
    assert "Held up" in text
    assert "has not accepted a batch for 300 s" in row(text, "bus", "shardId-1")
    assert "Held up" not in to_text(report(HEALTHY, ONE, at=AT))


def test_all_is_well() -> None:
    text = to_text(report(HEALTHY, ONE, at=AT))
    assert "No alarms." in text
    assert "Halted" not in text


def test_a_pipeline_that_is_not_running_says_so_first() -> None:
    assert "NOT RUNNING" in to_text(report(SAVED, OFFLINE, at=AT)).splitlines()[0]


def test_how_it_ended() -> None:
    text = to_text(report(STATUS, replace(FACTS, running=False, exit=Stop(3, "a gap", "decide")), at=AT))
    assert text.endswith("Exit code 3: a gap\n    do: decide\n")


def test_no_letter_of_a_name_is_cut_off() -> None:
    name = "shardId-" + "0123456789" * 6
    found = report(replace(STATUS, lanes=(replace(HALTED, shard=name),)), FACTS, at=AT)
    assert name in to_text(found).replace("\n", "").replace(" ", "")


def test_a_thousand_halted_shards_are_one_page() -> None:
    lanes = tuple(replace(HALTED, shard=f"shardId-{number}") for number in range(1000))
    text = to_text(report(replace(STATUS, lanes=lanes), FACTS, at=AT))
    assert len(text.splitlines()) < 120
    assert "and 980 more: see --json" in text


@pytest.mark.parametrize("evil", ["[bold]x[/bold]", "[/]", "[link=http://a]b", "\x1b[2J\x1b]0;t\x07", "a\nb"])
def test_text_from_outside_is_only_text(evil: str) -> None:
    lanes = (replace(HALTED, waits_for=evil, remedy=evil, shard=f"s{evil}"),)
    sinks = tuple(replace(sink, error=evil) for sink in STATUS.sinks)
    found = report(replace(STATUS, lanes=lanes, sinks=sinks), replace(FACTS, pipeline=evil), at=AT)
    text = to_text(found, width=300)
    assert text.count(printable(evil)) >= 4
    assert all(char.isprintable() or char == "\n" for char in text)


def shown(found: Report, *, terminal: bool) -> str:
    file = io.StringIO()
    Console(
        file=file, width=120, force_terminal=terminal, color_system="standard" if terminal else "auto"
    ).print(render(found))
    return file.getvalue()


def test_colours_on_a_terminal_only() -> None:
    assert "\x1b[1;31m" in shown(FOUND, terminal=True)
    assert "\x1b" not in shown(FOUND, terminal=False)
    assert "\x1b[1;31m" not in shown(report(HEALTHY, ONE, at=AT), terminal=True)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0s"), (59.9, "59s"), (60, "1m 00s"), (3725, "1h 02m"), (90_000, "1d 01h"), (-65, "-1m 05s")],
)
def test_times_as_they_are_said(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_times_as_they_are_written() -> None:
    assert utc(AT + 0.999) == "2026-01-01T00:01:00Z"
    assert printable("a\x1b\n\x9b\u202eé") == "a\\x1b\\n\\x9b\\u202eé"
