"""Every way to credentials ends in a call to the store that is signed with them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.credentials
import pytest

from cdc.errors import ErrorKind, SinkError
from cdc.testing.batches import Table
from cdc.testing.encoding import encode
from connectors.lake import CONNECTOR
from tests.credentials import CONTAINER_TOKEN, WEB_TOKEN, CredentialsServer, credentials_server
from tests.s3.lakes import s3_config, s3_context
from tests.s3.server import Refuse, S3Server
from tests.services.server import free_port
from tests.unit.lake_s3.sinks import opened, small

ROLE = "arn:aws:iam::111111111111:role/lake"


@pytest.fixture
def giver(monkeypatch: pytest.MonkeyPatch) -> Iterator[CredentialsServer]:
    """And no keys in the environment."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with credentials_server() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        yield server


def signed_with(s3: S3Server, **keys: Any) -> str:
    """The access key of a call that the store got."""
    CONNECTOR.probe(s3_config(s3.url, **keys), s3_context())
    return s3.calls[-1].access_key


def test_a_profile(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the keys of the environment."""
    file = tmp_path / "config"
    file.write_text("[profile lake]\naws_access_key_id = OFPROFILE\naws_secret_access_key = made-up\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    assert signed_with(s3, profile="lake") == "OFPROFILE"
    assert signed_with(s3) == "AKIDTEST"


def test_a_role(s3: S3Server, giver: CredentialsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SOURCE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    assert signed_with(s3, role_arn=ROLE, external_id="customer-7") == "ROLE"
    ((_, form),) = giver.asked
    assert form["RoleArn"] == [ROLE]
    assert form["ExternalId"] == ["customer-7"]
    assert form["RoleSessionName"] == ["cdc-lake"]


def web_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text(WEB_TOKEN)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::111111111111:role/pod")


def test_a_web_identity(
    s3: S3Server, giver: CredentialsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web_identity(tmp_path, monkeypatch)
    assert signed_with(s3) == "WEB"
    ((_, form),) = giver.asked
    assert form["RoleArn"] == ["arn:aws:iam::111111111111:role/pod"]


def test_a_role_with_a_web_identity(
    s3: S3Server, giver: CredentialsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod's own role assumes that of the lake, in another account."""
    web_identity(tmp_path, monkeypatch)
    assert signed_with(s3, role_arn=ROLE) == "ROLE"
    assert giver.ways() == ["web", "role"]


def instance(giver: CredentialsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", giver.url)


def test_an_instance(s3: S3Server, giver: CredentialsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMDSv2: asked with a session's token."""
    instance(giver, monkeypatch)
    assert signed_with(s3) == "INSTANCE"


def container(giver: CredentialsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{giver.url}/container")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN)


def test_a_container(s3: S3Server, giver: CredentialsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """ECS, and EKS Pod Identity."""
    container(giver, monkeypatch)
    assert signed_with(s3) == "CONTAINER"


def test_nobody(s3: S3Server, giver: CredentialsServer) -> None:
    with pytest.raises(SinkError) as denied:
        signed_with(s3)
    assert denied.value.kind is ErrorKind.ACCESS_DENIED
    assert "no usable credentials" in denied.value.message


def test_a_role_that_nobody_answers_for(
    s3: S3Server, giver: CredentialsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the store that is unreachable."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SOURCE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SinkError) as unreachable:
        signed_with(s3, role_arn=ROLE)
    assert unreachable.value.kind is ErrorKind.UNAVAILABLE
    assert f"AssumeRole of {ROLE}" in unreachable.value.message


@pytest.mark.parametrize("way", ["role", "web", "instance", "container"])
@pytest.mark.parametrize("reason", ["before-expiry", "expired-token"])
def test_they_are_renewed(
    s3: S3Server,
    giver: CredentialsServer,
    way: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys: dict[str, Any] = {}
    match way:
        case "role":
            keys["role_arn"] = ROLE
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SOURCE")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
        case "web":
            web_identity(tmp_path, monkeypatch)
        case "instance":
            instance(giver, monkeypatch)
        case _:
            container(giver, monkeypatch)
    giver.keys[way] = ["FIRST", "SECOND"]
    if reason == "expired-token":
        s3.fault = lambda call: (
            Refuse("ExpiredToken", 400) if call.body and call.access_key == "FIRST" else None
        )
    shard = Table().shard()
    with opened(s3, shard, **keys) as sink:
        assert s3.calls[-1].access_key == "FIRST"
        if reason == "before-expiry":
            giver.ahead = giver.valid - timedelta(minutes=5)
            later = datetime.now(UTC) + giver.ahead
            monkeypatch.setattr(botocore.credentials, "_local_now", lambda: later)
            storage: Any = sink._storage
            storage._bucket._client._request_signer._credentials._time_fetcher = lambda: later
        receipt = sink.write(encode(small(shard)))
        sink.flush(deadline=10).result(10)
        receipt.durable.result(0)
    assert s3.calls[-1].operation == "PutObject"
    assert s3.calls[-1].access_key == "SECOND"
    assert giver.ways().count(way) == 2
