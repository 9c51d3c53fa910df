"""Carries out the steps of a Dockerfile in folders, as far as `deploy/Dockerfile` uses them: for where no builder is.

A stage is a root folder, its RUN steps are run by chroot. Not a builder: no layers, no cache, and the base image is a
Debian with a Python in /usr/local, which is what `python:3.11-slim-bookworm` is, made by debootstrap.
"""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_INSTRUCTION = re.compile(r"^([A-Z]+)\s+(.*)$", re.DOTALL)


@dataclass
class Stage:
    """A root folder and what its instructions have set."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Of a Dockerfile, in order: name and arguments, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for joined in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if joined.strip():
            found = _INSTRUCTION.match(joined.strip())
            if found is None:
                raise ValueError(f"no instruction: {joined}")
            yield found[1], found[2]


def build(dockerfile: Path, context: Path, base: Path, into: Path, surroundings: Mapping[str, str]) -> Stage:
    """The last stage.

    Args:
        base: the root of the image that every FROM names.
        into: where the stages' roots are made.
        surroundings: variables that a RUN step gets besides its own, as `docker build --build-arg` and its network.

    Raises:
        CalledProcessError: a step failed.
    """
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for name, arguments in instructions(dockerfile.read_text()):
        if name == "ARG":
            continue
        if name == "FROM":
            label = arguments.split(" AS ")[1] if " AS " in arguments else "last"
            stage = stages[label] = Stage(into / label)
            subprocess.run(["cp", "--archive", str(base), str(stage.root)], check=True)
            continue
        if stage is None:
            raise ValueError(f"{name} before FROM")
        _step(stage, name, arguments, context, stages, surroundings)
    return stages["last"]


def _step(  # noqa: C901, PLR0912 - one case for each instruction
    stage: Stage,
    name: str,
    arguments: str,
    context: Path,
    stages: Mapping[str, Stage],
    surroundings: Mapping[str, str],
) -> None:
    match name:
        case "ENV":
            for pair in shlex.split(arguments):
                key, _, value = pair.partition("=")
                stage.environment[key] = value.replace("$PATH", _path(stage))
        case "WORKDIR":
            stage.folder = arguments
            _below(stage.root, arguments).mkdir(parents=True, exist_ok=True)
        case "COPY":
            words = arguments.split()
            origin = context
            if words[0].startswith("--from="):
                origin = stages[words.pop(0).removeprefix("--from=")].root
            _copy(origin, words[:-1], stage, words[-1])
        case "RUN":
            print(f"RUN {arguments}", flush=True)
            run(stage, ["/bin/sh", "-c", arguments], environment=surroundings)
        case "USER":
            stage.user = arguments
        case "VOLUME":
            stage.volumes.append(arguments)
        case "ENTRYPOINT":
            stage.entrypoint = json.loads(arguments)
        case "CMD":
            stage.command = json.loads(arguments)
        case "HEALTHCHECK":
            stage.health = json.loads(arguments.partition("CMD ")[2])
        case "EXPOSE" | "STOPSIGNAL":
            return
        case _:
            raise ValueError(f"not carried out here: {name}")


def run(stage: Stage, command: list[str], *, environment: Mapping[str, str]) -> None:
    """As root, in the stage's folder."""
    variables = {"PATH": _path(stage), "HOME": "/root", **environment, **stage.environment}
    line = f"cd {shlex.quote(stage.folder)} && exec {shlex.join(command)}"
    subprocess.run(
        ["chroot", str(stage.root), "/usr/bin/env", "-i", *[f"{key}={value}" for key, value in variables.items()],
         "/bin/sh", "-c", line],
        check=True,
    )  # fmt: skip


def _path(stage: Stage) -> str:
    return stage.environment.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _copy(origin: Path, names: list[str], stage: Stage, target: str) -> None:
    """COPY's rule: a folder's content goes into the target; a file goes to it, or into it if it ends with a slash."""
    at = _below(stage.root, target if target.startswith("/") else f"{stage.folder}/{target}")
    for name in names:
        source = _below(origin, name)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, at, symlinks=True, dirs_exist_ok=True, ignore=ignored)
        elif target.endswith("/"):
            at.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, at / source.name)
        else:
            at.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, at)
