"""A message as text for people: masked, and one line per field.

Strategy: the specification says how each field and each part of a layout is masked; a field that the specification does
not know, or whose layout does not fit, is hidden completely. So the result may be logged and shown to finance staff.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocols.errors import ProtocolError
from protocols.iso8583.codec import Message
from protocols.iso8583.layout import choose_layout
from protocols.iso8583.masking import Mask
from protocols.iso8583.spec import FieldSpec, Spec


def describe(message: Message, spec: Spec) -> str:
    """The message, one line per field with number, name and masked value; parts of a layout are indented."""
    lines = [f"{message.mti} ({spec.name})"]
    for number, text in message.fields.items():
        field_spec = spec.fields.get(number)
        if field_spec is None:
            lines.append(_line(number, "unknown", Mask.HIDDEN.apply(text)))
        elif field_spec.layouts:
            lines.extend(_layout_lines(number, text, field_spec))
        else:
            lines.append(_line(number, field_spec.name, field_spec.mask.apply(text)))
    return "\n".join(lines)


def _line(number: int, name: str, shown: str) -> str:
    return f"{number:>5}  {name}: {shown}"


def _layout_lines(number: int, text: str, field_spec: FieldSpec) -> Iterator[str]:
    where = f"field {number}"
    try:
        layout = choose_layout(field_spec.layouts, text, where)
        values = layout.split(text, where)
    except ProtocolError:
        yield _line(number, field_spec.name, Mask.HIDDEN.apply(text))
        return
    yield _line(number, field_spec.name, layout.name)
    for part in layout.parts:
        yield f"{'':>7}- {part.name}: {part.mask.apply(values[part.name])}"
