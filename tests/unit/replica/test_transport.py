import traceback

import pytest
from botocore import exceptions
from botocore.session import Session

from cdc.errors import ErrorKind, SinkError
from connectors.replica.errors import aws_errors
from connectors.replica.transport import Transport


def test_an_error_keeps_neither_the_vendors_exception_nor_its_frames() -> None:
    """They hold the request, and with it an item; and the connections, which would stay open as long as the error."""
    counted = []
    transport = Transport(
        Session(),
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


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.NoCredentialsError(), ErrorKind.ACCESS_DENIED),
        (
            exceptions.InfiniteLoopConfigError(source_profile="a", visited_profiles="b"),
            ErrorKind.CONFIGURATION,
        ),
        (exceptions.EndpointConnectionError(endpoint_url="x"), ErrorKind.UNAVAILABLE),
    ],
)
def test_the_vendors_exceptions(error: Exception, kind: ErrorKind) -> None:
    with pytest.raises(SinkError) as raised, aws_errors("here"):
        raise error
    assert raised.value.kind is kind
    assert raised.value.message == f"here: {type(error).__name__}"
