"""Installed without the extra `demo`: said so, and what to do about it."""

import subprocess
import sys

import pytest

from cdc.demo import run


@pytest.mark.parametrize("missing", ["moto", "flask_cors", "confluent_kafka"])
def test_the_missing_package_is_named(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['cdc', 'demo']; from cdc.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    assert f"the demonstration needs {missing}" in result.stderr
    assert "dynamodb-cdc[demo]" in result.stderr
    assert "Traceback" not in result.stderr


def test_too_many_events(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(keep=False, plain=True, events=20_000) == 2
    assert "room for 10000" in capsys.readouterr().err
