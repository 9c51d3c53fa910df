"""Apicurio Registry: a schema registry that speaks the API of Confluent's, with its schemas in a file."""

import http
import json
import shutil
import tarfile
import tempfile
from pathlib import Path

from tests.services import environment
from tests.services.java import JVM_OPTIONS, classpath, java_command
from tests.services.local_server import LocalServer
from tests.services.server import HOST, Server, http_status

API = "/apis/ccompat/v7"
COMPATIBILITY = "BACKWARD"  # Confluent's default; Apicurio has none


class SchemaRegistry(Server):
    """A registry whose compatibility is Confluent's default, BACKWARD; `endpoint` is what clients take as its URL.

    Ids, subjects and versions outlive stops and kills. It differs from Confluent's: NONE for one subject means the
    default for all, which is BACKWARD here; `/mode` is not there; ids are given to contents, from 1.
    """

    service = environment.SCHEMA_REGISTRY

    _has_default = False

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}{API}"

    def _answers(self) -> bool:
        if http_status(self.port, f"{API}/subjects") != http.HTTPStatus.OK:
            return False
        # Through the API, once: set at the start it would hold, but `GET /config` would not tell it.
        if not self._has_default:
            default = json.dumps({"compatibility": COMPATIBILITY})
            status = http_status(self.port, f"{API}/config", method="PUT", json=default)
            self._has_default = status == http.HTTPStatus.OK
        return self._has_default


class ApicurioRegistry(SchemaRegistry, LocalServer):
    """As a process; the schemas are in an H2 database in its directory."""

    @classmethod
    def prepare(cls) -> None:
        java_command()
        _unpacked()

    def _command(self) -> list[str]:
        (jar,) = _unpacked().glob("*-runner.jar")
        return [
            java_command(),
            *JVM_OPTIONS,
            "-Xmx512m",
            f"-Dquarkus.http.host={HOST}",
            f"-DHTTP_PORT={self.port}",
            f"-DREGISTRY_DATASOURCE_URL={database(self.directory / 'data' / 'registry')}",
            # 20 connections by default, all opened at the start.
            "-Dquarkus.datasource.jdbc.initial-size=1",
            "-Dquarkus.datasource.jdbc.min-size=1",
            "-Dquarkus.log.level=WARN",
            "-jar",
            str(jar),
        ]


def database(file: Path) -> str:
    """The URL of an H2 database in a file, written out at each commit: what was answered outlives a kill."""
    return f"jdbc:h2:file:{file};WRITE_DELAY=0"


def _unpacked() -> Path:
    """The folder of the unpacked distribution, kept in the user's cache beside the list of its archive."""
    (archive,) = (file for file in classpath("schema_registry") if file.name.endswith(".tar.gz"))
    folder = environment.cache_directory() / archive.name.removesuffix(".tar.gz")
    if not folder.exists():
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}-"))
        try:
            with tarfile.open(archive) as packed:
                # Python 3.11 has the filter from 3.11.4 on.
                packed.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
                packed.extractall(unfinished)  # noqa: S202 - Maven has checked it
            try:
                unfinished.rename(folder)
            except OSError:
                if not folder.exists():  # else another process was quicker
                    raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder
