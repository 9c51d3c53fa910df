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
}

PASSES: frozenset[Kind] = frozenset()

NAIVE: dict[int, dict[str, frozenset[Kind] | None]] = {
    1: {
        "live, with records": frozenset({Kind.LOST}),
        "live, empty page": PASSES,
        "backlog, with records": frozenset({Kind.LOST}),
        "backlog, empty page": PASSES,
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
            found = "–" if kinds is None else ", ".join(sorted(kinds)) or "passes"
            lines.append(f"| {name} | {case} | passes | {found} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
