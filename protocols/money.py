"""Money: an integer of minor units with its currency.

Strategy: one frozen value, valid on construction; never a float. Text and wire forms are converted here, once, by the
two functions `parse_decimal` and `parse_minor`; both refuse what is not exactly representable. Wires
write amounts as their profile says; inside there are integer fen only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from protocols.errors import MoneyError

CURRENCY = "CNY"
MINOR_UNITS_PER_UNIT = 100
# n12 is the widest amount any of our wires can carry; sums use int, which has no limit.
MAX_WIRE_MINOR = 10**12 - 1
_DECIMAL = re.compile(r"(-?)([0-9]{1,16})(?:\.([0-9]*))?\Z")


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount of money: `minor` units (fen for CNY) and an ISO 4217 currency code."""

    minor: int
    currency: str = CURRENCY

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"minor units are an int, not {type(self.minor).__name__}")

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} don't add up")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def decimal(self) -> str:
        """The amount in units with exactly two decimals: `Money(-5).decimal() == "-0.05"`."""
        whole, part = divmod(abs(self.minor), MINOR_UNITS_PER_UNIT)
        return f"{'-' if self.minor < 0 else ''}{whole}.{part:02d}"

    def __str__(self) -> str:
        return f"{self.decimal()} {self.currency}"


def parse_decimal(text: str, where: str, currency: str = CURRENCY, *, signed: bool = False) -> Money:
    """Units with up to two decimals ("12", "12.3", "12.30") to Money; raises MoneyError naming `where`.

    Refuses a sign unless `signed`, more than two decimals, exponents, separators, white space.
    """
    match = _DECIMAL.match(text)
    if match is None:
        raise MoneyError(where, "not an amount: digits and at most one decimal point are allowed")
    sign, whole, part = match.group(1), match.group(2), match.group(3)
    if part is not None and not 1 <= len(part) <= 2:
        raise MoneyError(where, "an amount has at most two decimals")
    if sign and not signed:
        raise MoneyError(where, "an amount may not be negative here")
    minor = int(whole) * MINOR_UNITS_PER_UNIT + int((part or "0").ljust(2, "0"))
    if minor > MAX_WIRE_MINOR:
        raise MoneyError(where, "the amount does not fit 12 digits of minor units")
    return Money(-minor if sign else minor, currency)


def parse_minor(text: str, where: str, currency: str = CURRENCY) -> Money:
    """Digits of minor units ("000000010000" is 100.00) to Money; raises MoneyError naming `where`."""
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise MoneyError(where, "not an amount in minor units: digits only")
    return Money(int(text), currency)


def total(amounts: Iterable[Money], currency: str = CURRENCY) -> Money:
    """The sum of `amounts`; zero of `currency` where there are none."""
    result = Money(0, currency)
    for amount in amounts:
        result = result + amount
    return result
