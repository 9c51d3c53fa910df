"""What the naive loop has to fail, and how. The service has to pass everything.

`docs/conformance.md` shows this as a table; `test_table.py` compares the two, and both with the tests that there are.
"""

from tests.conformance.oracle import Kind

TITLES = {
    1: "The last page of a shard carries records",
    2: "A split, with interleaved writes to the same keys",
    3: "A closed shard with three records, for thirty minutes",
    4: "`kill -9` with ten records of each shard acknowledged",
    5: "SIGTERM with batches in flight",
    6: "Away for more than 24 hours",
    7: "`GetShardIterator` refused on one shard",
    8: "An iterator expires under back-pressure",
    9: "A parent disappears while its child is pending",
    10: "A stream enabled again; a table created again",
    11: "A snapshot that races updates: without one",
    12: "A setting that is another one in the next run",
    13: "Values at the ends of what is allowed",
    14: "An attribute flips from S to N and back",
    15: "One sink down for an hour",
    16: "Another time zone, and a clock that jumps",
    17: "Two workers: one is killed, one is a zombie",
    18: "Ten thousand shards over time",
    19: "Deletes by Time to Live",
    20: "The quirks of DynamoDB Local and moto",
}

PASSES: frozenset[Kind] = frozenset()

_LOST = frozenset({Kind.LOST})
_HUNG = frozenset({Kind.HUNG})
_REORDERED = frozenset({Kind.REORDERED})
_DUPLICATED = frozenset({Kind.DUPLICATED})
_SILENT_GAP = frozenset({Kind.SILENT_GAP})
_HELD_UP = frozenset({Kind.HELD_UP})
_STOPPED = frozenset({Kind.STOPPED})
_ALTERED = frozenset({Kind.ALTERED})

NAIVE: dict[int, dict[str, frozenset[Kind] | None]] = {
    1: {
        "live, with records": _LOST,
        "live, empty page": PASSES,
        "backlog, with records": _LOST,
        "backlog, empty page": PASSES,
    },
    2: {
        "backlog, one split": _REORDERED,
        "backlog, splits of splits": _REORDERED,
        "live": _REORDERED,
        "late listings": _REORDERED,
    },
    3: {
        "watched": _DUPLICATED,
        "terminated and started": _DUPLICATED,
        "killed and started": _DUPLICATED,
    },
    4: {
        "saved": _DUPLICATED,
        "trim-horizon, outage": _DUPLICATED,
        "latest, outage": _LOST,
        "at any moment": _DUPLICATED,
        "at any moment of a split": _DUPLICATED,
    },
    5: {
        "in flight": _DUPLICATED,
        "again and again": _DUPLICATED,
        "at a shard's end": _DUPLICATED,
        "one sink down": _DUPLICATED,
    },
    6: {
        "changes expired": _SILENT_GAP,
        "changes expired, skip": _SILENT_GAP,
        "some expired": _SILENT_GAP | _DUPLICATED,
        "some expired, skip": _SILENT_GAP | _DUPLICATED,
        "skip, killed behind the gap": _SILENT_GAP | _DUPLICATED,
        "idle table": _SILENT_GAP,
        "an hour to spare": _DUPLICATED,
        "one sink away": _SILENT_GAP | _DUPLICATED,
    },
    7: {
        **{
            f"{when}{error}": _HUNG
            for error in ("throttled", "limit exceeded", "5xx", "no answer")
            for when in ("", "live, ")
        },
    },
    8: {
        "all sinks down": _LOST,
        "one sink down": _LOST,
        "a slow sink": _LOST | _DUPLICATED,
        "before its time": _LOST,
    },
    9: {
        "read before": PASSES,
        "never known": PASSES,
        "unread, one sink down": _SILENT_GAP,
        "unread, process down": _SILENT_GAP,
        "never seen, process down": _SILENT_GAP,
    },
    10: {
        "enabled again": _SILENT_GAP | _HUNG | _DUPLICATED,
        "enabled again, process down": _SILENT_GAP,
        "enabled again, one sink behind": _SILENT_GAP | _HUNG,
        "enabled again, skip": _SILENT_GAP | _HUNG | _DUPLICATED,
        "enabled again, process down, rest unread": _SILENT_GAP,
        "created again": _SILENT_GAP | _HUNG | _DUPLICATED,
        "created again, process down": _SILENT_GAP,
        "created again, skip": _SILENT_GAP | _HUNG | _DUPLICATED,
    },
    11: {
        "the stream alone": PASSES,
        "and a late second hand": _ALTERED,
    },
    12: {
        "trim-horizon, then latest": _HUNG,
        "latest, then trim-horizon": _REORDERED | _DUPLICATED,
    },
    13: {
        "38 digits": _ALTERED,
        "39 characters and more": _LOST,
        "negative exponents": _ALTERED,
        "minus zero": PASSES,
        "empty string": _ALTERED,
        "empty members": _LOST,
        "binary keys": _LOST | _ALTERED,
        "NULL": PASSES,
        "nesting depth 32": PASSES,
        "names that collide": _ALTERED,
    },
    14: {
        "files": _ALTERED,
        "BACKWARD": _STOPPED,
        "FULL": _STOPPED,
    },
    15: {
        "ten minutes": _HELD_UP,
        "one shard": _HUNG,
        "through splits": _HELD_UP | _REORDERED | _DUPLICATED,
        "two sinks, one after the other": _HUNG,
    },
    16: {
        "Asia/Tokyo, trim-horizon": _DUPLICATED,
        "Asia/Tokyo, latest": _HUNG,
        "America/St_Johns, latest": _HUNG,
        "back an hour": _HUNG,
        "forward an hour": _DUPLICATED,
        "forward 30 hours": _DUPLICATED,
        "back 30 hours": _HUNG,
        "to and fro": _DUPLICATED,
    },
    17: {
        "a second one": _DUPLICATED,
        "killed, same host": _DUPLICATED,
        "killed, another host": _DUPLICATED,
        "zombie": _DUPLICATED | _STOPPED,
        "zombie in mid-step": _DUPLICATED | _STOPPED,
    },
    18: {"every generation read": _HUNG | _SILENT_GAP},
    19: {"both kinds, one table": PASSES},
    20: {
        "spurious trim": PASSES,
        "spurious trim, trim-horizon": PASSES,
        "minutes": _HUNG,
        "milliseconds": _HUNG,
        "one shard id for all streams": _DUPLICATED,
        "closed shards never end": PASSES,
        "pages with 500": _HUNG,
        "two INSERTs": PASSES,
    },
}
"""By scenario and case: every kind of violation that the naive loop is found guilty of; empty: it passes; None: it has
nothing of what the case is about, and is not asked."""


def table() -> str:
    """In Markdown."""
    lines = ["| | Case | Service | Naive loop |", "|---|---|---|---|"]
    for number, cases in NAIVE.items():
        for index, (case, kinds) in enumerate(cases.items()):
            name = f"{number}. {TITLES[number]}" if index == 0 else ""
            found = "not asked" if kinds is None else ", ".join(sorted(kinds)) or "passes"
            lines.append(f"| {name} | {case} | passes | {found} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
