"""The machine as a reader of figures needs it: no names."""

import os
import platform
import ssl
from importlib.metadata import version
from pathlib import Path

PARTS = ("boto3", "confluent-kafka", "fastavro", "msgspec")


def description() -> dict[str, str]:
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "tls": ssl.OPENSSL_VERSION.rsplit(" ", 3)[0],
        **{part: version(part) for part in PARTS},
    }


def _processor() -> str:
    """As proc(5) `cpuinfo` calls it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
