"""`make image-trial`: the steps of `deploy/Dockerfile` in a clean Debian, and the service run out of the result.

    python -m tests.deploy.image_trial

Needs root, debootstrap and Debian's archive; no Docker. What it shows: every step works; the last stage holds no tools;
the service runs as its own user on a read-only root file system, writes to its volume alone, answers its health check,
and ends with 0 at SIGTERM. What it cannot show: that a builder makes the same of it.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import botocore.session
import yaml
from moto.server import ThreadedMotoServer

from tests.deploy.dockerfile import Stage, build
from tests.deploy.tools import DEPLOY, ROOT, TOOLS

SUITE = "bookworm"
CHANGES = 200
_BASE = TOOLS / f"debian-{SUITE}-python"
_FORBIDDEN = ("pip", "pip3", "gcc", "cc", "make", "curl", "wget", "git")


def main() -> int:
    if os.geteuid() != 0:
        print("image-trial: needs root, for chroot and mounts", file=sys.stderr)
        return 2
    if shutil.which("debootstrap") is None:
        print("image-trial: needs debootstrap (apt install debootstrap)", file=sys.stderr)
        return 2
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    TOOLS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS, prefix="image-") as into:
        stage = build(DEPLOY / "Dockerfile", ROOT, _base(), Path(into), _network())
        _has_no_tools(stage)
        size = subprocess.run(["du", "-sm", str(stage.root)], capture_output=True, text=True, check=True)
        print(f"the last stage: {size.stdout.split()[0]} MB with its base")
        _runs(stage)
    print("image-trial: passed")
    return 0


def _network() -> dict[str, str]:
    """What the package installer on this machine is told of its network; nothing that names a folder of its own."""
    told = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    told.pop("PIP_FIND_LINKS", None)
    return told


def _base() -> Path:
    """A minimal Debian with a Python and its pip in /usr/local; made once."""
    if not _BASE.exists():
        making = _BASE.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        print(f"making a clean {SUITE} (once)", flush=True)
        subprocess.run(
            [
                "debootstrap",
                "--variant=minbase",
                "--include=python3,python3-venv,ca-certificates",
                SUITE,
                str(making),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        subprocess.run(["chroot", str(making), "python3", "-m", "venv", "/usr/local"], check=True)
        # As the machine: its resolver, and whom it trusts.
        shutil.copy("/etc/resolv.conf", making / "etc/resolv.conf")
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", making / "etc/ssl/certs/ca-certificates.crt")
        making.rename(_BASE)
    return _BASE


def _has_no_tools(stage: Stage) -> None:
    found = [
        name
        for name in _FORBIDDEN
        for folder in ("usr/local/bin", "usr/bin", "bin", "opt/cdc/bin")
        if (stage.root / folder / name).exists()
    ]
    if found:
        raise SystemExit(f"the last stage has {found}")


def _runs(stage: Stage) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        _table(endpoint)
        _configure(stage, endpoint)
        before = _listing(stage)
        with _container(stage, [*stage.entrypoint, *stage.command]) as process:
            _healthy(stage, process)
            _delivered(stage, process)
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=15)
        _expect(process.returncode == 0, f"ended with {process.returncode}: {log}")
        _expect("PermissionError" not in log and "Read-only" not in log, log)
        changed = _listing(stage) ^ before
        _expect(not changed, f"written outside the volume: {sorted(changed)[:10]}")
        print(f"the service: {CHANGES} changes delivered as {stage.user}, healthy, ended with 0 at SIGTERM")
    finally:
        server.stop()


def _client(endpoint: str) -> Any:
    return botocore.session.Session().create_client(
        "dynamodb", region_name="eu-west-1", endpoint_url=endpoint,
        aws_access_key_id="dummy", aws_secret_access_key="dummy",
    )  # fmt: skip


def _table(endpoint: str) -> None:
    client = _client(endpoint)
    client.create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    for number in range(CHANGES):
        client.put_item(TableName="orders", Item={"id": {"S": str(number)}})


def _configure(stage: Stage, endpoint: str) -> None:
    configuration = {
        "version": 1,
        "pipeline": "orders",
        "source": {
            "type": "dynamodb-streams",
            "tables": ["orders"],
            "region": "eu-west-1",
            "endpoint_url": endpoint,
        },
        "schema": {"registry": {"type": "files", "path": "/var/lib/cdc/schemas"}},
        "sinks": [
            {"name": "lines", "type": "file", "path": "/var/lib/cdc/orders.jsonl"},
            {"name": "lake", "type": "lake", "url": "file:///var/lib/cdc/lake", "flush_after_seconds": 1},
        ],
        "state": {"path": "/var/lib/cdc/state.db"},
        "dead_letters": {"path": "/var/lib/cdc/dead-letters"},
    }
    path = stage.root / "etc/cdc/config.yaml"
    path.write_text(yaml.safe_dump(configuration))
    path.chmod(0o644)


def _container(stage: Stage, command: list[str], *, join: int = 0) -> "subprocess.Popen[str]":
    """As `docker run --read-only --tmpfs /tmp --user …`: mounts of its own, the root read-only, no rights to gain."""
    uid, _, gid = stage.user.partition(":")
    root = str(stage.root)
    writable = " && ".join(f"mount --bind {root}{volume} {root}{volume}" for volume in stage.volumes)
    again = " && ".join(f"mount -o remount,bind,rw {root}{volume}" for volume in stage.volumes)
    mounts = (
        f"mount --bind {root} {root} && {writable} && mount -t proc proc {root}/proc && mount -t tmpfs tmp {root}/tmp "  # noqa: S108
        f"&& mount --bind /dev {root}/dev && mount -o remount,bind,ro {root} && {again}"
    )
    user = f"setpriv --reuid={uid} --regid={gid} --clear-groups --no-new-privs --bounding-set=-all"
    variables = {
        **stage.environment,
        "AWS_ACCESS_KEY_ID": "dummy",
        "AWS_SECRET_ACCESS_KEY": "dummy",
        "HOME": "/var/lib/cdc",
    }
    inside = [
        "env",
        "-i",
        "-C",
        stage.folder,
        *[f"{key}={value}" for key, value in variables.items()],
        *command,
    ]
    quoted = " ".join(f"'{word}'" if "'" not in word else f'"{word}"' for word in inside)
    script = f"{mounts} && exec chroot {root} {user} {quoted}"
    if join:
        unshare = ["nsenter", f"--mount=/proc/{join}/ns/mnt", "chroot", root, *user.split(), *inside]
    else:
        unshare = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script]
    return subprocess.Popen(unshare, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _healthy(stage: Stage, process: "subprocess.Popen[str]") -> None:
    """By the image's own health check, run where the service runs."""
    error = ""
    for _ in range(60):
        if process.poll() is not None:
            raise SystemExit(f"image-trial: ended with {process.returncode}: {process.communicate()[1]}")
        with _container(stage, stage.health, join=process.pid) as check:
            _, error = check.communicate(timeout=10)
        if check.returncode == 0:
            return
        time.sleep(0.5)
    raise SystemExit(f"not healthy: {error}")


def _delivered(stage: Stage, process: "subprocess.Popen[str]") -> None:
    lines = stage.root / "var/lib/cdc/orders.jsonl"
    for _ in range(120):
        if lines.exists() and len(lines.read_text().splitlines()) >= CHANGES:
            break
        time.sleep(0.5)
    keys = {json.dumps(json.loads(line)["key"], sort_keys=True) for line in lines.read_text().splitlines()}
    _expect(len(keys) == CHANGES, f"{len(keys)} of {CHANGES} changes delivered")


def _listing(stage: Stage) -> set[tuple[str, int, int]]:
    """Every file outside the volumes: path, size, time of change."""
    kept = ("var/lib/cdc/", "proc/", "dev/", "tmp/")
    return {
        (name, path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in stage.root.rglob("*")
        if not (name := str(path.relative_to(stage.root))).startswith(kept) and not path.is_dir()
    }


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(f"image-trial: {otherwise}")


if __name__ == "__main__":
    sys.exit(main())
