import pytest

from expenses import Money


@pytest.mark.parametrize("text, cents", [("12", 1200), ("12.50", 1250), ("1,234.05", 123405), ("-3.00", -300)])
def test_parse(text, cents):
    assert Money.parse(text) == Money(cents)


@pytest.mark.parametrize("text", ["", "12.5", "1,23", "twelve", "1e3"])
def test_a_slip_is_no_amount(text):
    with pytest.raises(ValueError, match="not an amount"):
        Money.parse(text)


def test_adding_loses_nothing():
    assert sum((Money.parse("0.10") for _ in range(10)), Money(0)) == Money.parse("1.00")


def test_printing():
    assert [str(Money(c)) for c in (5, -5, 123456789)] == ["0.05", "-0.05", "1,234,567.89"]
