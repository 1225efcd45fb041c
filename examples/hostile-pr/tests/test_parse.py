import datetime

import pytest

from expenses import Expense, Money, ParseError, parse_csv


def test_a_line_with_and_without_note():
    assert parse_csv(["2026-03-01, Food, 12.50, lunch", "2026-03-02,rent,900"]) == [
        Expense(datetime.date(2026, 3, 1), "food", Money(1250), "lunch"),
        Expense(datetime.date(2026, 3, 2), "rent", Money(90000)),
    ]


def test_comments_and_empty_lines_are_skipped():
    assert parse_csv(["# March", "", "   "]) == []


def test_a_quoted_amount_may_have_a_comma():
    assert parse_csv(['2026-03-02,rent,"1,900.00"'])[0].amount == Money(190000)


@pytest.mark.parametrize("line, message", [
    ("2026-02-30,food,1", "line 2: day is out of range"),
    ("2026-03-01,food,a lot", "line 2: not an amount"),
    ("2026-03-01,food", "line 2: 2 fields"),
])
def test_an_error_names_its_line(line, message):
    with pytest.raises(ParseError, match=message):
        parse_csv(["# header", line])
