"""Sums of expenses, and a table of them."""
from collections import defaultdict

from expenses.money import Money


def _sums(expenses, key):
    sums = defaultdict(lambda: Money(0))
    for expense in expenses:
        sums[key(expense)] += expense.amount
    return dict(sums)


def by_category(expenses):
    """{category: Money}, the greatest first; equal ones by name."""
    sums = _sums(expenses, lambda e: e.category)
    return dict(sorted(sums.items(), key=lambda item: (-item[1].cents, item[0])))


def by_month(expenses):
    """{"2026-03": Money} in the order of time. Months without an expense are absent."""
    return dict(sorted(_sums(expenses, lambda e: f"{e.date:%Y-%m}").items()))


def format_table(sums):
    """Two columns and a total, amounts aligned at the right."""
    rows = [(name, str(amount)) for name, amount in sums.items()]
    rows.append(("total", str(sum(sums.values(), Money(0)))))
    names, amounts = (max(len(row[i]) for row in rows) for i in (0, 1))
    return "\n".join(f"{name:<{names}}  {amount:>{amounts}}" for name, amount in rows)
