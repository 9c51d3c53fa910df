"""Exceptions that hold a value, as they occur. Vendors are imported where they are needed: crashing processes start quickly."""

from collections.abc import Callable

from cdc.errors import ErrorKind, SinkError

SECRET = "planted-item-value"


def key_error() -> None:
    item: dict[str, str] = {}
    item[SECRET]


def validation_error() -> None:
    import pydantic

    pydantic.TypeAdapter(int).validate_python(SECRET)


def decode_error() -> None:
    import msgspec

    msgspec.convert({"a": SECRET}, type=dict[str, int])


def client_error() -> None:
    from botocore.exceptions import ClientError

    raise ClientError({"Error": {"Code": "ValidationException", "Message": SECRET}}, "PutItem")


def unicode_error() -> None:
    (SECRET.encode() + b"\xff").decode()


def os_error() -> None:
    open(f"/nowhere/{SECRET}")  # noqa: PTH123, SIM115 - it fails


def caused() -> None:
    try:
        key_error()
    except KeyError as error:
        raise SinkError(
            ErrorKind.UNAVAILABLE, "sink bus at host:9092 is gone", remedy="look there"
        ) from error


def during_another() -> None:
    try:
        key_error()
    except KeyError:
        # Not pydantic's: an error that was made in Rust has no context.
        int(SECRET)


def suppressed() -> None:
    try:
        key_error()
    except KeyError as error:
        raise ValueError(SECRET) from error.__context__


def group() -> None:
    members = []
    for fault in (key_error, caused):
        try:
            fault()
        except Exception as error:  # noqa: BLE001 - collected
            members.append(error)
    raise ExceptionGroup(SECRET, members)


def noted() -> None:
    error = ValueError("x")
    error.add_note(SECRET)
    raise error


def local_variable() -> None:
    item = {"pk": SECRET}
    assert "pk" not in item


def quoting_itself() -> None:
    class Odd(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError(SECRET)

        __repr__ = __str__

    raise Odd


def endless() -> None:
    def again(item: str) -> None:
        again(item)

    again(SECRET)


FAULTS: tuple[Callable[[], None], ...] = (
    *(
        key_error,
        validation_error,
        decode_error,
        client_error,
        unicode_error,
        os_error,
        caused,
        during_another,
    ),
    *(suppressed, group, noted, local_variable, quoting_itself, endless),
)


def caught(fault: Callable[[], None]) -> Exception:
    try:
        fault()
    except Exception as error:  # noqa: BLE001 - handed on
        return error
    raise AssertionError(fault)
