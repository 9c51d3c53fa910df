"""Java and Maven: are they here, and which jars make a server."""

import hashlib
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

from tests.services.environment import cache_directory
from tests.services.unavailable import UnavailableError

POMS = Path(__file__).parent / "poms"
OLDEST_JAVA = 17
DOWNLOAD_SECONDS = 900.0
# Compiles little and soon: half the processor time of a start.
JVM_OPTIONS = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)
# Maven's cache is not made for two that fill it at once.
_MAVEN = threading.Lock()


def java_command() -> str:
    """The `java` of JAVA_HOME, else of PATH.

    Raises:
        UnavailableError: there is none, or it is older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    command = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    remedy = f"install Java {OLDEST_JAVA} or later (a JRE is enough) or point JAVA_HOME at it"
    if command is None:
        raise UnavailableError(f"no `java` in {'JAVA_HOME' if home else 'PATH'}: {remedy}")
    told = subprocess.run([command, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < OLDEST_JAVA:
        raise UnavailableError(f"`{command} -version` says {told.strip()!r}: {remedy}")
    return command


def classpath(name: str) -> list[Path]:
    """The jars and native libraries of `poms/<name>/pom.xml`, with all that they depend on.

    Maven downloads them into its own cache the first time. The list is kept, one path a line, in the user's cache
    directory under the digest of the POM, for as long as all of its files exist.

    Raises:
        UnavailableError: Maven is missing or cannot resolve the POM.
    """
    pom = POMS / name / "pom.xml"
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    cache = cache_directory()
    kept = cache / f"{name}-{digest}.classpath"
    if kept.exists():
        jars = [Path(line) for line in kept.read_text("utf-8").splitlines()]
        if all(jar.exists() for jar in jars):
            return jars
    with _MAVEN:
        jars = _resolve(pom, cache / f"{name}-{digest}-{os.getpid()}.new")
    unfinished = kept.with_suffix(f".{os.getpid()}.new")
    unfinished.write_text("".join(f"{jar}\n" for jar in jars), "utf-8")
    unfinished.replace(kept)
    return jars


def _resolve(pom: Path, output: Path) -> list[Path]:
    maven = shutil.which("mvn")
    if maven is None:
        raise UnavailableError("no `mvn` in PATH: install Apache Maven 3.8 or later")
    output.parent.mkdir(parents=True, exist_ok=True)
    # A jar that does not match its published checksum must not run: Maven only warns unless asked.
    command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(pom)]
    command += ["dependency:build-classpath", f"-Dmdep.outputFile={output}", "-Dmdep.includeScope=runtime"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DOWNLOAD_SECONDS)
        if done.returncode:
            raise UnavailableError(
                f"Maven could not resolve {pom.relative_to(POMS)}: needs its repository, or a filled cache\n"
                + done.stdout[-2000:]
            )
        return [Path(entry) for entry in output.read_text("utf-8").strip().split(os.pathsep)]
    except subprocess.TimeoutExpired:
        raise UnavailableError(
            f"Maven did not finish within {DOWNLOAD_SECONDS:.0f} s: is its repository reachable?"
        ) from None
    finally:
        output.unlink(missing_ok=True)
