"""The XML profile's response codes: one literal table over every `Reason`; a code's class is its reason's class."""

from __future__ import annotations

from types import MappingProxyType

from gateway.outcomes import Reason

SUCCESS_CODE = "00"
# Numbers of the China Southern Grid list (YDLW) where it has one; 94 is the interbank number of a duplicate trace.
# Our own are 200 to 229 for final refusals, 230 to 249 for "later", 250 to 269 for "unknown".
CODES = MappingProxyType(
    {
        Reason.UNREADABLE: "254",
        Reason.SIGNATURE_INVALID: "253",
        Reason.FORMAT_ERROR: "0a",
        Reason.REPLAYED: "252",
        Reason.BAD_OPERATION: "13",
        Reason.DATE_INVALID: "203",
        Reason.AMOUNT_INVALID: "204",
        Reason.OVERLOADED: "230",
        Reason.DEADLINE_PASSED: "231",
        Reason.DUPLICATE_TRACE: "94",
        Reason.IN_PROGRESS: "250",
        Reason.FENCED: "205",
        Reason.NOT_SIGNED_ON: "51",
        Reason.CUSTOMER_NOT_FOUND: "03",
        Reason.ORIGINAL_NOT_FOUND: "15",
        Reason.ALREADY_REVERSED: "206",
        Reason.AMOUNT_DIFFERS: "207",
        Reason.CANCEL_NOT_ALLOWED: "14",
        Reason.PREPAYMENT_USED: "208",
        Reason.BILL_NOT_FOUND: "209",
        Reason.NO_ARREARS: "06",
        Reason.ARREARS_EXIST: "85",
        Reason.ALREADY_PAID: "210",
        Reason.LOCKED_IN_BATCH: "18",
        Reason.BILL_CHANGED: "73",
        Reason.AMOUNT_TOO_LARGE: "211",
        Reason.PARTIAL_NOT_ALLOWED: "27",
        Reason.STATUS_UNKNOWN: "101",
        Reason.SYSTEM_ERROR: "50",
        Reason.TIMEOUT: "251",
    }
)
