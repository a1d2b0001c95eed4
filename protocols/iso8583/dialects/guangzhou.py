"""The Guangzhou dialect of ISO 8583, as data.

Strategy: three tables. `GUANGZHOU` says how each field is written; `REQUIRED` and `OPTIONAL` say which fields a message
has. Differences from the 1987 standard that catch everybody: a 16-byte bitmap always, field 11 of 12 digits, field 49
"001" and not 156, field 13 holds the bank's clearing date, field 48 has one length byte and so at most 99 bytes, and
LLVAR numbers count digits and fill an odd one with F. The MAC is on every message, enquiries and network messages too.

A field that a message does not use is refused rather than ignored: what we would not read, the bank may have meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from protocols.errors import ProtocolError
from protocols.iso8583.bitmap import BitmapForm
from protocols.iso8583.codec import Message
from protocols.iso8583.dialects.guangzhou_layouts import ACCEPTOR, FIELD_48, TERMINAL
from protocols.iso8583.encodings import ASCII, BCD, BCD_F_RIGHT, BCD_ZERO_LEFT, GBK
from protocols.iso8583.layout import Layout
from protocols.iso8583.masking import Mask
from protocols.iso8583.prefixes import BCD_LL, FIXED
from protocols.iso8583.spec import FieldSpec, Spec

MAC_FIELD = 128


def _n(name: str, digits: int) -> FieldSpec:
    return FieldSpec(name, BCD_ZERO_LEFT if digits % 2 else BCD, FIXED, digits)


def _llvar_n(name: str, maximum: int, mask: Mask = Mask.SHOWN) -> FieldSpec:
    return FieldSpec(name, BCD_F_RIGHT, BCD_LL, maximum, mask=mask)


def _an(name: str, length: int, mask: Mask = Mask.SHOWN, layouts: tuple[Layout, ...] = ()) -> FieldSpec:
    return FieldSpec(name, ASCII, FIXED, length, mask=mask, layouts=layouts)


GUANGZHOU = Spec(
    "ISO 8583, Guangzhou dialect",
    mti=BCD,
    bitmap=BitmapForm.DOUBLE,
    mac_field=MAC_FIELD,
    fields={
        2: _llvar_n("account (账号)", 19, Mask.ACCOUNT),
        3: _n("processing code (处理码)", 6),
        4: _n("amount in fen (金额)", 12),
        7: _n("transmission date and time (传输日期时间)", 10),
        11: _n("trace number (流水号)", 12),
        12: _n("local time (交易时间)", 6),
        13: _n("bank's clearing date (银行清算日期)", 4),
        15: _n("clearing date (清算日期)", 4),
        18: _n("district office (配营部)", 4),
        28: _n("fee (手续费)", 12),
        32: _llvar_n("acquiring institution (受理机构)", 11),
        33: _llvar_n("forwarding institution (发送机构)", 11),
        37: _n("reference number (系统参考号)", 12),
        39: _an("response code (应答码)", 2),
        41: _an("terminal (终端)", 8, layouts=(TERMINAL,)),
        42: _an("acceptor (网点柜员)", 15, layouts=(ACCEPTOR,)),
        48: FieldSpec("private data (附加数据)", GBK, BCD_LL, 99, mask=Mask.HIDDEN, layouts=FIELD_48),
        49: _an("currency (币种)", 3),
        52: _an("PIN (密码)", 8, Mask.HIDDEN),
        60: _n("reversal detail (冲正结果)", 4),
        70: _n("network code (网络管理码)", 3),
        100: _llvar_n("receiving institution (接收机构)", 11),
        104: _an("transaction class (交易类别)", 2),
        MAC_FIELD: _an("MAC", 8),
    },
)

# Fields every message of a type has, and fields it may have besides. 0100, 0200, 0400, 0820 come from the bank.
_COLLECTION_REQUEST = frozenset({3, 11, 12, 13, 32, 41, 42, 48, 49, 100, 104})
_COLLECTION_REPLY = _COLLECTION_REQUEST | {39, MAC_FIELD}
_MONEY = frozenset({4, 18, 28})
REQUIRED: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "0100": _COLLECTION_REQUEST,
        "0110": _COLLECTION_REPLY,
        "0200": _COLLECTION_REQUEST | _MONEY | {MAC_FIELD},
        "0210": _COLLECTION_REPLY | _MONEY,
        "0400": _COLLECTION_REQUEST | _MONEY | {7, MAC_FIELD},
        "0410": _COLLECTION_REPLY | {4, 18, 60},
        "0820": frozenset({7, 11, 33, 70, MAC_FIELD}),
        "0830": frozenset({7, 11, 33, 39, 70, MAC_FIELD}),
    }
)
# Field 2 is absent when the payer pays cash; 15 and 37 are absent from a refusal that has neither; 128 is required of
# an enquiry by the bank's profile, not by the dialect.
OPTIONAL: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "0100": frozenset({2, 7, 15, MAC_FIELD}),
        "0110": frozenset({2, 4, 7, 15}),
        "0200": frozenset({2, 7, 15}),
        "0210": frozenset({2, 7, 15, 37}),
        "0400": frozenset({2, 15}),
        "0410": frozenset({2, 7, 15, 37}),
        "0820": frozenset[int](),
        "0830": frozenset[int](),
    }
)


def check_fields(message: Message) -> None:
    """Raises ProtocolError naming the first field that `message` lacks, or has without using it."""
    required = REQUIRED.get(message.mti)
    if required is None:
        raise ProtocolError("MTI", f"not a message of this interface; expected one of {', '.join(REQUIRED)}")
    missing = required - message.fields.keys()
    if missing:
        raise ProtocolError(f"field {min(missing)}", f"missing in a {message.mti}")
    unused = message.fields.keys() - required - OPTIONAL[message.mti]
    if unused:
        raise ProtocolError(f"field {min(unused)}", f"not used in a {message.mti}")
