"""The layouts by name. To add one: a file with its tables beside `pipe.py` and `bil.py`, and a row here."""

from __future__ import annotations

from collections.abc import Callable

from protocols.settlement.bil import bil_layout
from protocols.settlement.layout import Layout
from protocols.settlement.pipe import pipe_layout

PIPE = pipe_layout()
BIL = bil_layout()

_BY_NAME: dict[str, Callable[[str, str], Layout]] = {"pipe": pipe_layout, "bil": lambda charset, _: bil_layout(charset)}


def layout_named(name: str, charset: str = "GBK", amounts: str = "yuan") -> Layout:
    """The layout of a bank's profile; `amounts` has no meaning for "bil", which is always in fen."""
    if name not in _BY_NAME:
        raise ValueError(f"layout must be one of {', '.join(_BY_NAME)}")
    return _BY_NAME[name](charset, amounts)
