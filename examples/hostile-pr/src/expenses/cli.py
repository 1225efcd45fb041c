"""expenses FILE: print what was spent on what."""
import argparse
import sys

from expenses.parse import ParseError, parse_csv
from expenses.report import by_category, by_month, format_table


def main(argv=None):
    parser = argparse.ArgumentParser(prog="expenses", description="Add up a list of expenses.")
    parser.add_argument("file", type=argparse.FileType("r"))
    parser.add_argument("--months", action="store_true", help="by month instead of category")
    options = parser.parse_args(argv)
    try:
        expenses = parse_csv(options.file)
    except ParseError as error:
        print(f"expenses: {error}", file=sys.stderr)
        return 1
    print(format_table(by_month(expenses) if options.months else by_category(expenses)))
    return 0
