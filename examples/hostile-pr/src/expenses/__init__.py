"""Add up a list of expenses by category and month."""
from expenses.money import Money
from expenses.parse import Expense, ParseError, parse_csv
from expenses.report import by_category, by_month, format_table

__all__ = ["Expense", "Money", "ParseError", "by_category", "by_month", "format_table", "parse_csv"]
