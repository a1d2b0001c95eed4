"""The pipe file: header, details and trailer, tagged H, D and T (our own proposal to banks).

Every line ends with a pipe and CRLF. Amounts are yuan with exactly two decimals, or digits of fen, by the bank's
profile; the charset is UTF-8, GBK or GB18030, by the profile too. A payment of several receivables has one line per
receivable with the same trace. CANCEL and REVERSAL lines carry positive amounts, count negatively, and name the trace
of the payment that they take back; a PAY line names none.

Channel and settle method are names in capitals (BANK_COUNTER, CASH). An unknown name is not an error here: it moves no
money, and the match shows it as a channel mismatch of that one entry instead of refusing the whole file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from protocols.money import Money
from protocols.settlement.layout import Column, ColumnError, EntryPlace, Layout, Record, TrailerForm
from protocols.settlement.model import STATUS_SUCCESS, EntryKind, SettlementEntry, SettlementHeader, Trailer
from protocols.settlement.values import (
    CODE,
    COUNT,
    DATE,
    FEN,
    FEN_POSITIVE,
    FEN_SIGNED,
    MOMENT,
    MONTH,
    NAME,
    TEXT,
    YUAN,
    YUAN_POSITIVE,
    YUAN_SIGNED,
    Kind,
    choice,
    constant,
)

FILE_KIND = "RECON"
VERSION = "2.0"
HEADER_TAG, DETAIL_TAG, TRAILER_TAG = "H", "D", "T"


@dataclass(frozen=True, slots=True)
class _Amounts:
    plain: Kind
    positive: Kind
    signed: Kind


_AMOUNTS = {"yuan": _Amounts(YUAN, YUAN_POSITIVE, YUAN_SIGNED), "fen": _Amounts(FEN, FEN_POSITIVE, FEN_SIGNED)}


def pipe_layout(charset: str = "GBK", amounts: str = "yuan") -> Layout:
    """The pipe layout for a charset (UTF-8, GBK, GB18030) and an amount form ("yuan" or "fen")."""
    if amounts not in _AMOUNTS:
        raise ValueError(f"amounts must be one of {', '.join(_AMOUNTS)}")
    kinds = _AMOUNTS[amounts]
    return Layout(
        name="pipe",
        charset=charset,
        header=_header_record(kinds),
        detail=_detail_record(kinds),
        build_header=_build_header,
        build_entry=_build_entry,
        header_columns=_header_columns,
        entry_columns=_entry_columns,
        trailer=TrailerForm(TRAILER_TAG, _trailer_record(kinds), _build_trailer, _trailer_columns),
        header_tag=HEADER_TAG,
        numbered="seq",
    )


def _header_record(kinds: _Amounts) -> Record:
    return Record(
        (
            Column("tag", constant(HEADER_TAG), 1),
            Column("kind", constant(FILE_KIND), 5),
            Column("version", constant(VERSION), 3),
            Column("bank", CODE, 20),
            Column("utility", CODE, 20),
            Column("clearing_date", DATE, 8),
            Column("currency", NAME, 3),
            Column("count", COUNT, 11),
            Column("net", kinds.signed, 16),
            Column("payment_count", COUNT, 11),
            Column("payment_amount", kinds.plain, 16),
            Column("cancel_count", COUNT, 11),
            Column("cancel_amount", kinds.plain, 16),
        )
    )


def _detail_record(kinds: _Amounts) -> Record:
    return Record(
        (
            Column("tag", constant(DETAIL_TAG), 1),
            Column("seq", COUNT, 11),
            Column("type", choice(*EntryKind), 8),
            Column("trace_date", DATE, 8),
            Column("trace_no", CODE, 32),
            Column("paid_at", MOMENT, 14),
            Column("customer_no", CODE, 20),
            Column("receivable_id", CODE, 16, required=False),
            Column("billing_month", MONTH, 6, required=False),
            Column("org_code", CODE, 8, required=False),
            Column("charge_kind", CODE, 3, required=False),
            Column("amount", kinds.positive, 16),
            Column("principal", kinds.plain, 16, required=False),
            Column("penalty", kinds.plain, 16, required=False),
            Column("channel", NAME, 32),
            Column("settle_method", NAME, 32),
            Column("status", choice(STATUS_SUCCESS), 8),
            Column("original_trace_date", DATE, 8, required=False),
            Column("original_trace_no", CODE, 32, required=False),
            Column("remark", TEXT, 128, required=False),
        )
    )


def _trailer_record(kinds: _Amounts) -> Record:
    return Record(
        (Column("tag", constant(TRAILER_TAG), 1), Column("count", COUNT, 11), Column("net", kinds.signed, 16))
    )


def _build_header(values: Mapping[str, Any]) -> SettlementHeader:
    currency = values["currency"]
    if len(currency) != 3 or not currency.isalpha():
        raise ColumnError("currency", "not a currency: three capital letters (ISO 4217)")
    return SettlementHeader(
        clearing_date=values["clearing_date"],
        bank=values["bank"],
        utility=values["utility"],
        currency=currency,
        count=values["count"],
        net=Money(values["net"], currency),
        payment_count=values["payment_count"],
        payment_amount=Money(values["payment_amount"], currency),
        cancel_count=values["cancel_count"],
        cancel_amount=Money(values["cancel_amount"], currency),
    )


def _build_entry(values: Mapping[str, Any], place: EntryPlace) -> SettlementEntry:
    kind = EntryKind(values["type"])
    currency = place.header.currency
    _check_original(kind, values)
    principal, penalty = values["principal"], values["penalty"]
    return SettlementEntry(
        line_no=place.line_no,
        kind=kind,
        trace_date=values["trace_date"],
        trace_no=values["trace_no"],
        paid_at=values["paid_at"].replace(tzinfo=place.zone),
        customer_no=values["customer_no"],
        receivable_id=values["receivable_id"],
        billing_month=values["billing_month"],
        org_code=values["org_code"],
        charge_kind=values["charge_kind"],
        amount=Money(values["amount"], currency),
        principal=None if principal is None else Money(principal, currency),
        penalty=None if penalty is None else Money(penalty, currency),
        channel=values["channel"],
        settle_method=values["settle_method"],
        status=values["status"],
        clearing_date=place.header.clearing_date,
        original_trace_date=values["original_trace_date"],
        original_trace_no=values["original_trace_no"],
        remark=values["remark"] or "",
    )


def _check_original(kind: EntryKind, values: Mapping[str, Any]) -> None:
    for name in ("original_trace_date", "original_trace_no"):
        if kind is EntryKind.PAY and values[name] is not None:
            raise ColumnError(name, "a PAY line names no original")
        if kind is not EntryKind.PAY and values[name] is None:
            raise ColumnError(name, f"a {kind} line must name the original's trace date and trace number")


def _build_trailer(values: Mapping[str, Any], currency: str) -> Trailer:
    return Trailer(values["count"], Money(values["net"], currency))


def _header_columns(header: SettlementHeader) -> Mapping[str, Any]:
    payments, cancels = header.payment_amount, header.cancel_amount
    return {
        "tag": HEADER_TAG,
        "kind": FILE_KIND,
        "version": VERSION,
        "bank": header.bank,
        "utility": header.utility,
        "clearing_date": header.clearing_date,
        "currency": header.currency,
        "count": header.count,
        "net": header.net.minor,
        "payment_count": header.payment_count,
        "payment_amount": None if payments is None else payments.minor,
        "cancel_count": header.cancel_count,
        "cancel_amount": None if cancels is None else cancels.minor,
    }


def _entry_columns(entry: SettlementEntry, seq: int, header: SettlementHeader, zone: tzinfo) -> Mapping[str, Any]:
    if entry.clearing_date != header.clearing_date:
        raise ColumnError("clearing_date", "this layout has no clearing date on a line: it must be the header's")
    originals = {"original_trace_date": entry.original_trace_date, "original_trace_no": entry.original_trace_no}
    _check_original(entry.kind, originals)
    return {
        "tag": DETAIL_TAG,
        "seq": seq,
        "type": entry.kind,
        "trace_date": entry.trace_date,
        "trace_no": entry.trace_no,
        "paid_at": None if entry.paid_at is None else entry.paid_at.astimezone(zone),
        "customer_no": entry.customer_no,
        "receivable_id": entry.receivable_id,
        "billing_month": entry.billing_month,
        "org_code": entry.org_code,
        "charge_kind": entry.charge_kind,
        "amount": entry.amount.minor,
        "principal": None if entry.principal is None else entry.principal.minor,
        "penalty": None if entry.penalty is None else entry.penalty.minor,
        "channel": entry.channel,
        "settle_method": entry.settle_method,
        "status": entry.status,
        **originals,
        "remark": entry.remark or None,
    }


def _trailer_columns(header: SettlementHeader) -> Mapping[str, Any]:
    return {"tag": TRAILER_TAG, "count": header.count, "net": header.net.minor}
