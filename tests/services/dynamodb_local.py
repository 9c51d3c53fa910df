"""DynamoDB Local: Amazon's emulator of DynamoDB and DynamoDB Streams.

Its licence (the DynamoDB Local License Agreement) lets holders of an AWS account use it and lets nobody distribute
it: Maven downloads it for whoever runs the tests, who thereby accept that licence; this project ships nothing of it.
"""

import http
import os
import platform
import sys
from pathlib import Path

from tests.services import environment
from tests.services.java import JVM_OPTIONS, classpath, java_command
from tests.services.local_server import LocalServer
from tests.services.server import HOST, Server, http_status
from tests.services.unavailable import UnavailableError

# sqlite4java's JNI libraries come as artefacts of their own, these among them; none for ARM.
NATIVE_LIBRARIES = {
    ("linux", "x86_64"): "libsqlite4java-linux-amd64-",
    ("darwin", "x86_64"): "libsqlite4java-osx-",
}


class DynamoDB(Server):
    """One database for all credentials and regions, streams included; `endpoint` is the URL of both APIs."""

    service = environment.DYNAMODB

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def _answers(self) -> bool:
        # An unsigned request: 400 MissingAuthenticationToken from a server that serves.
        return http_status(self.port, "/") == http.HTTPStatus.BAD_REQUEST


class DynamoDBLocal(DynamoDB, LocalServer):
    """As a process. It has no option for the address it listens on: the port is open on every interface of this machine
    while it runs. Keep made-up data in it. Credentials are any; access keys must be letters and digits.
    """

    @classmethod
    def prepare(cls) -> None:
        java_command()
        _native_library_folder(classpath("dynamodb_local"))

    def _command(self) -> list[str]:
        jars = classpath("dynamodb_local")
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        return [
            java_command(),
            *JVM_OPTIONS,
            "-Xmx512m",
            f"-Dsqlite4java.library.path={_native_library_folder(jars)}",
            "-cp",
            os.pathsep.join(map(str, jars)),
            "software.amazon.dynamodb.services.local.main.ServerRunner",
            "-sharedDb",
            "-dbPath",  # on disk: data outlive a restart, as -inMemory's would not
            str(data),
            "-disableTelemetry",  # tests talk to this machine alone
            "-port",
            str(self.port),
        ]


def _native_library_folder(jars: list[Path]) -> Path:
    prefix = NATIVE_LIBRARIES.get((sys.platform, platform.machine()))
    for jar in jars:
        if prefix is not None and jar.name.startswith(prefix):
            return jar.parent
    raise UnavailableError(
        f"DynamoDB Local on Maven has no sqlite4java for {sys.platform} {platform.machine()}: run its container image "
        f"and set {environment.DYNAMODB.variable}"
    )
