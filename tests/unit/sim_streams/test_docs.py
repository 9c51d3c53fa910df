import dataclasses
import re
from pathlib import Path

from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.service import Sim

PAGE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text()


def test_the_examples_run_one_after_the_other() -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 2
    exec(compile("\n".join(examples), "docs/simulator.md", "exec"), {})  # noqa: S102 - they are the page's own


def test_every_setting_is_named() -> None:
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert {field.name for field in dataclasses.fields(Behaviour)} <= named


def test_every_operation_is_named() -> None:
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert set(Sim(now=lambda: 0.0).operations) <= named
