"""Read expenses from CSV: date, category, amount, and a note that may be absent."""
import csv
import datetime
from dataclasses import dataclass

from expenses.money import Money


class ParseError(ValueError):
    """Says which line is wrong."""


@dataclass(frozen=True)
class Expense:
    date: datetime.date
    category: str
    amount: Money
    note: str = ""


def parse_csv(lines):
    """A list of Expense. Empty lines and lines that begin with # are skipped."""
    expenses = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = [field.strip() for field in next(csv.reader([line]))]
        if len(fields) not in (3, 4):
            raise ParseError(f"line {number}: {len(fields)} fields instead of 3 or 4")
        try:
            date = datetime.date.fromisoformat(fields[0])
            amount = Money.parse(fields[2])
        except ValueError as error:
            raise ParseError(f"line {number}: {error}") from error
        expenses.append(Expense(date, fields[1].lower(), amount, fields[3] if len(fields) == 4 else ""))
    return expenses
