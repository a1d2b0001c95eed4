"""Guangzhou dialect: from our reasons to field 39 and field 60.

Strategy: literal tables over every `Reason`; the class of the code equals the class of the reason, which a test proves
for all of them. A refused cancel or reversal answers 80 with the detail in field 60; what stopped it before it was
looked at answers its own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.outcomes import OutcomeClass, Reason, UndoResult
from protocols.iso8583.dialects.guangzhou_codes import UNDO_REFUSED

SUCCESS = "00"
CODE_OF: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.UNREADABLE: "30",
        Reason.SIGNATURE_INVALID: "05",
        Reason.FORMAT_ERROR: "01",
        Reason.REPLAYED: "U0",
        Reason.BAD_OPERATION: "12",
        Reason.DATE_INVALID: "07",
        Reason.AMOUNT_INVALID: "13",
        Reason.OVERLOADED: "B1",
        Reason.DEADLINE_PASSED: "U1",
        Reason.DUPLICATE_TRACE: "94",
        Reason.IN_PROGRESS: "U2",
        Reason.FENCED: "U3",
        Reason.NOT_SIGNED_ON: "U4",
        Reason.CUSTOMER_NOT_FOUND: "10",
        Reason.ORIGINAL_NOT_FOUND: "25",
        Reason.ALREADY_REVERSED: "U5",
        Reason.AMOUNT_DIFFERS: "64",
        Reason.CANCEL_NOT_ALLOWED: "C3",
        Reason.PREPAYMENT_USED: "U6",
        Reason.BILL_NOT_FOUND: "08",
        Reason.NO_ARREARS: "09",
        Reason.ARREARS_EXIST: "UC",
        Reason.ALREADY_PAID: "U7",
        Reason.LOCKED_IN_BATCH: "U8",
        Reason.BILL_CHANGED: "U9",
        Reason.AMOUNT_TOO_LARGE: "UA",
        Reason.PARTIAL_NOT_ALLOWED: "UB",
        Reason.STATUS_UNKNOWN: "68",
        Reason.SYSTEM_ERROR: "96",
        Reason.TIMEOUT: "06",
    }
)

# Why a cancel or reversal was refused after it was looked at: field 39 is 80, field 60 is this.
UNDO_DETAIL_OF: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.ORIGINAL_NOT_FOUND: "8072",
        Reason.AMOUNT_DIFFERS: "8075",
        Reason.ALREADY_REVERSED: "8081",
        Reason.CANCEL_NOT_ALLOWED: "8082",
        Reason.PREPAYMENT_USED: "8083",
    }
)
# A reversal that finds nothing has done its work: the payment can't be booked any more.
UNDO_DETAIL_OF_RESULT: Mapping[UndoResult, str] = MappingProxyType(
    {
        UndoResult.DONE_SAME_DAY: "0000",
        UndoResult.DONE_NEXT_DAY: "0000",
        UndoResult.NOTHING_TO_UNDO: "8072",
    }
)
_SUSPECTED, _NOT_LOOKED_AT = "8093", "8099"


def undo_refusal_codes(reason: Reason) -> tuple[str, str]:
    """Field 39 and field 60 of a 0410 that refuses, or leaves open, for `reason`."""
    detail = UNDO_DETAIL_OF.get(reason)
    if detail is not None:
        return UNDO_REFUSED, detail
    unknown = reason.outcome_class is OutcomeClass.UNKNOWN_OUTCOME
    return CODE_OF[reason], _SUSPECTED if unknown else _NOT_LOOKED_AT
