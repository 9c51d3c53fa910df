from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cdc.errors import ErrorKind, SourceError
from tests.dynamodb_streams.canned_server import CannedServer, Reply, ok, role_credentials
from tests.dynamodb_streams.sources import SHARD, opened

ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture
def role_server(server: CannedServer, monkeypatch: pytest.MonkeyPatch) -> CannedServer:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    server.replies["GetRecords"] = [ok({"Records": []})]
    return server


def denied(server: CannedServer) -> SourceError:
    with opened(server.url, role_arn=ROLE) as source, pytest.raises(SourceError) as refusal:
        source.read(SHARD, "iterator")
    assert server.asked("GetRecords") == []
    return refusal.value


def test_a_role_is_assumed_once_for_many_calls(role_server: CannedServer) -> None:
    role_server.replies["AssumeRole"] = [role_credentials("ASSUMED", valid=timedelta(hours=1))]
    with opened(role_server.url, role_arn=ROLE, external_id="42") as source:
        source.read(SHARD, "iterator")
        source.read(SHARD, "iterator")
    (call,) = role_server.asked("AssumeRole")
    form = call["form"]
    assert form["RoleArn"] == [ROLE]
    assert form["ExternalId"] == ["42"]
    assert form["RoleSessionName"] == ["cdc-orders"]


def test_a_role_that_may_not_be_assumed(role_server: CannedServer) -> None:
    body = (
        b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>"
    )
    role_server.replies["AssumeRole"] = [Reply(body, 403)]
    error = denied(role_server)
    assert error.kind is ErrorKind.ACCESS_DENIED
    assert "AssumeRole: AccessDenied: not you" in error.message


def test_a_role_whose_credentials_are_expired_at_once(role_server: CannedServer) -> None:
    role_server.replies["AssumeRole"] = [role_credentials("ASSUMED", valid=-timedelta(hours=1))]
    assert denied(role_server).kind is ErrorKind.ACCESS_DENIED


@pytest.mark.parametrize("reply", [Reply(b"<html>", 502), Reply(b"nonsense", 200), Reply(fault="close")])
def test_a_token_service_in_trouble(role_server: CannedServer, reply: Reply) -> None:
    role_server.replies["AssumeRole"] = [reply]
    assert denied(role_server).kind is ErrorKind.UNAVAILABLE


def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def test_no_credentials(server: CannedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    with opened(server.url) as source, pytest.raises(SourceError) as refusal:
        source.read(SHARD, "iterator")
    assert refusal.value.kind is ErrorKind.ACCESS_DENIED
    assert "no usable credentials" in refusal.value.message


def test_nobody_to_assume_a_role(monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    with pytest.raises(SourceError) as refusal, opened(None, role_arn=ROLE):
        pass
    assert refusal.value.kind is ErrorKind.ACCESS_DENIED


@pytest.mark.parametrize("wrong", [{"region": None}, {"profile": "absent"}, {"region": "not a region"}])
def test_wrong_configuration(wrong: dict[str, Any]) -> None:
    with pytest.raises(SourceError) as refusal, opened(None, **wrong):
        pass
    assert refusal.value.kind is ErrorKind.CONFIGURATION


def test_a_profile_gives_region_and_credentials(
    server: CannedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_credentials(monkeypatch)
    file = tmp_path / "config"
    file.write_text(
        "[profile reader]\nregion = eu-north-1\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    server.replies["GetRecords"] = [ok({"Records": []})]
    with opened(server.url, profile="reader", region=None) as source:
        source.read(SHARD, "iterator")
        assert source._api.region == "eu-north-1"
