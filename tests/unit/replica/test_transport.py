import traceback

import pytest

from cdc.errors import ErrorKind, SinkError
from connectors.replica.aws import session
from connectors.replica.transport import Transport


def test_an_error_keeps_neither_the_vendors_exception_nor_its_frames() -> None:
    """They hold the request, and with it an item; and the connections, which would stay open as long as the error."""
    counted = []
    transport = Transport(
        session(profile=None, region=None, role_arn=None, external_id=None),
        endpoint_url="http://127.0.0.1:1",
        region="eu-west-1",
        connections=1,
        count_call=lambda *call: counted.append(call),
    )
    with pytest.raises(SinkError) as raised:
        transport.post("PutItem", b"{}")
    transport.close()
    assert raised.value.kind is ErrorKind.UNAVAILABLE
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None
    assert traceback.extract_tb(raised.value.__traceback__)[-1].name == "post"
    assert counted == [("PutItem", "unavailable")]
