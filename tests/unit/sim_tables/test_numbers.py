import pytest

from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.numbers import add, canonical_number, subtract


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1E+2", "100"),
        ("-0", "0"),
        ("1.10", "1.1"),
        ("+3", "3"),
        ("001", "1"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e-130", "0." + "0" * 129 + "1"),
        ("1e125", "1" + "0" * 125),
        ("1" * 38 + "000", "1" * 38 + "000"),
        ("-12.50e1", "-125"),
        # AWS takes this zero and refuses `0e126`.
        ("0.0e126", "0"),
    ],
)
def test_one_text_for_one_value(text: str, canonical: str) -> None:
    assert canonical_number(text) == canonical


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "numeric"),
        (" 1", "numeric"),
        ("NaN", "numeric"),
        ("1_0", "numeric"),
        ("\u0661", "numeric"),
        ("1" * 39, "38 significant digits"),
        ("1." + "0" * 37 + "1", "38 significant digits"),
        ("1e126", "overflow"),
        ("0e126", "overflow"),
        ("1e999999999", "overflow"),
        ("-1e-131", "underflow"),
        ("0e-131", "underflow"),
    ],
)
def test_what_is_no_number_of_the_service(text: str, says: str) -> None:
    with pytest.raises(ServiceError, match=says) as error:
        canonical_number(text)
    assert error.value.code == "ValidationException"


def test_sums_are_exact_or_refused() -> None:
    assert add("1", "10000000000000000000000000000000000000") == "10000000000000000000000000000000000001"
    assert subtract("1.5", "1.5") == "0"
    for one, other in (("9" * 126, "1"), ("1" + "0" * 50, "1")):
        with pytest.raises(ServiceError, match="overflow"):
            add(one, other)
