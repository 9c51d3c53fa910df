"""Jars or containers: what decides it, and what is asked of Docker. The daemon is a stub: no container runs here."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.core.config import testcontainers_config

from tests.services.containers import CONTAINERS, ContainerServer, KafkaContainer
from tests.services.docker_stub import CONTAINER, DockerStub, docker_stub
from tests.services.environment import SERVICES
from tests.services.records import ContainerRecord, Record
from tests.services.server import HOST, ServerFailedError
from tests.services.unavailable import UnavailableError
from tests.services.way import LOCAL_SERVERS, Decision, Way, decision


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerStub]:
    monkeypatch.delenv("CDC_SERVICES", raising=False)
    monkeypatch.setattr(testcontainers_config, "_ryuk_disabled", True)
    with docker_stub() as stub:
        monkeypatch.setenv("DOCKER_HOST", stub.host)
        yield stub


def decided() -> Decision:
    """Anew, past what this process has decided for itself."""
    return decision.__wrapped__()


# The decision


def test_containers_where_a_daemon_answers(docker: DockerStub) -> None:
    found = decided()
    assert (found.way, found.servers) == (Way.CONTAINERS, CONTAINERS)
    assert "containers" in str(found)


def test_jars_where_they_are_asked_for(docker: DockerStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDC_SERVICES", "maven")
    found = decided()
    assert (found.way, found.servers) == (Way.MAVEN, LOCAL_SERVERS)
    assert str(found) == "services: jars through Maven; the container way was not run: CDC_SERVICES=maven"


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("unix:///nowhere/docker.sock", "no Docker daemon answers at unix:///nowhere/docker.sock"),
        ("closed", "no Docker daemon answers at tcp://127.0.0.1:"),
        ("tcp://192.0.2.1:2375", "the Docker daemon at tcp://192.0.2.1:2375 is not on this machine"),
        ("ssh://somebody@example.com", "is not on this machine"),
    ],
)
def test_without_a_daemon_of_this_machine_jars_or_a_refusal(
    monkeypatch: pytest.MonkeyPatch, host: str, reason: str
) -> None:
    with socket.create_server((HOST, 0)) as free:
        closed = f"tcp://{HOST}:{free.getsockname()[1]}"
    monkeypatch.setenv("DOCKER_HOST", closed if host == "closed" else host)
    monkeypatch.delenv("CDC_SERVICES", raising=False)
    found = decided()
    assert found.way is Way.MAVEN
    assert "the container way was not run" in str(found)
    assert reason in str(found)

    monkeypatch.setenv("CDC_SERVICES", "containers")
    with pytest.raises(UnavailableError, match="CDC_SERVICES=containers, but") as refused:
        decided()
    assert reason in str(refused.value)


def test_a_daemon_that_is_not_well_does_not_count(docker: DockerStub) -> None:
    docker.ping = 500
    assert decided().way is Way.MAVEN


def test_a_way_that_is_none_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDC_SERVICES", "docker")
    with pytest.raises(ValueError, match="CDC_SERVICES=docker: may be maven or containers"):
        decided()


def test_either_way_has_every_service() -> None:
    for way in Way:
        found = Decision(way=way, reason="")
        assert {found.server(service).service for service in SERVICES} == set(SERVICES)


# What is asked of Docker


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_container_listens_on_its_port_of_the_loopback_interface_alone(
    docker: DockerStub, kind: type[ContainerServer], tmp_path: Path
) -> None:
    kind.prepare()
    assert docker.pulled == [kind.image]
    server = kind(tmp_path)
    server.launch()
    assert docker.created["Image"] == kind.image
    port = str(server.port)
    assert docker.created["HostConfig"]["PortBindings"] == {
        f"{port}/tcp": [{"HostIp": HOST, "HostPort": port}]
    }
    told = json.dumps([docker.created.get("Cmd"), docker.created.get("Env")])
    assert port in told, "the server is told to listen there"
    assert f"//0.0.0.0:{port}" in told or kind is not KafkaContainer
    server.discard()
    assert docker.asked == ["create", "start", "remove"]


def test_every_verb_of_a_server_has_one_of_docker(docker: DockerStub, tmp_path: Path) -> None:
    server = KafkaContainer(tmp_path)
    with pytest.raises(RuntimeError):
        server.pause()
    server.launch()
    with pytest.raises(RuntimeError):
        server.launch()
    server.pause()
    running = [server.running]
    server.resume()
    server.stop()
    running.append(server.running)
    server.stop()
    server.launch()
    assert running == [True, False]
    server.pause()
    server.kill()
    server.launch()
    server.discard()
    created = ["create", "start", "pause", "unpause", "stop"]
    again = ["start", "pause", "unpause", "kill"]
    assert docker.asked == [*created, *again, "start", "remove"], "the container is the same, and its data"


def test_a_container_that_had_to_be_killed_is_a_failure(docker: DockerStub, tmp_path: Path) -> None:
    server = KafkaContainer(tmp_path)
    server.launch()
    docker.exit_code = 137
    with pytest.raises(ServerFailedError):
        server.stop()


def test_another_process_ends_and_removes_a_container_by_its_record(
    docker: DockerStub, tmp_path: Path
) -> None:
    directory = tmp_path / "dynamodb-cdc-services-1"
    directory.mkdir()
    server = KafkaContainer(directory)
    server.launch()
    record: Record = ContainerRecord(
        variable="KAFKA_BOOTSTRAP_SERVERS",
        endpoint=server.endpoint,
        directory=str(directory),
        container=CONTAINER,
    )
    assert server.record == record
    server.pause()
    alive = [record.alive]
    assert record.end()
    alive.append(record.alive)
    record.remove()
    alive.append(record.alive)
    assert alive == [True, False, False], "ended, then not even found"
    assert not directory.exists()
    assert docker.asked == ["create", "start", "pause", "unpause", "stop", "remove"]
