from pathlib import Path

from cdc.ports import DeadLetters
from cdc.testing.dead_letters_contract import DeadLettersOutageCases
from connectors.dead_letters import FileDeadLetters


class TestFileDeadLetters(DeadLettersOutageCases):
    def make_dead_letters(self, base: Path) -> DeadLetters:
        return FileDeadLetters(base / "dead-letters", "pipeline")

    def break_it(self, base: Path) -> None:
        (base / "dead-letters").rename(base / "away")
        (base / "dead-letters").write_text("not a folder any more")

    def mend_it(self, base: Path) -> None:
        (base / "dead-letters").unlink()
        (base / "away").rename(base / "dead-letters")
