"""Amounts of money as whole cents, so that adding them loses nothing."""
import re
from dataclasses import dataclass

_AMOUNT = re.compile(r"(?P<sign>-?)(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<cents>\d{2}))?")


@dataclass(frozen=True, order=True)
class Money:
    cents: int

    @classmethod
    def parse(cls, text):
        """From "12", "12.50" or "1,234.50". Anything else is a ValueError: "12.5" may be a slip."""
        match = _AMOUNT.fullmatch(text.strip())
        if not match:
            raise ValueError(f"not an amount of money: {text!r}")
        cents = int(match["whole"].replace(",", "")) * 100 + int(match["cents"] or 0)
        return cls(-cents if match["sign"] else cents)

    def __add__(self, other):
        return Money(self.cents + other.cents)

    def __str__(self):
        sign = "-" if self.cents < 0 else ""
        return f"{sign}{abs(self.cents) // 100:,}.{abs(self.cents) % 100:02}"
