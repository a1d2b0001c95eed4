"""Rows of the database as the ledger's values, and the ledger's values as rows of an insert. No I/O.

Strategy: one pair of small functions a table. Inserts take one array of rows, so that a batch is one statement however
many rows it has; the order of values here is that of the row's type (`new_payment` and its like) in the migrations.
Enums go as they are: theirs are text already. Customers and receivables, the rows that are read most, are taken by
position: their statements select the fields of the value in its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.database import Row
from gateway.ledger import evidence as proof
from gateway.ledger.model import (
    Customer,
    OperationRecord,
    PostedLine,
    Posting,
    PostingKind,
    Receivable,
    SettledLine,
)
from gateway.ledger.outcome_text import outcome_from_json, outcome_to_json
from gateway.ledger.store import Decided, key_order
from gateway.operations import Channel, OperationKey, OperationKind, SettleMethod

Rows = list[tuple[Any, ...]]
Columns = list[list[Any]]
OutcomeTexts = dict[int, str]  # by identity: the outcomes live as long as the batch
_OPERATION_KIND = {
    PostingKind.PAYMENT: OperationKind.PAYMENT,
    PostingKind.PREPAYMENT_DEPOSIT: OperationKind.PAYMENT,
    PostingKind.SAME_DAY_CANCEL: OperationKind.SAME_DAY_CANCEL,
    PostingKind.REVERSAL: OperationKind.REVERSAL,
    PostingKind.NEXT_DAY_REVERSAL: OperationKind.REVERSAL,
}


def customer_from(row: Row) -> Customer:
    return Customer(*row)


def receivable_from(row: Row, settled: Sequence[SettledLine]) -> Receivable:
    return Receivable(*(*row, tuple(settled)))


def record_from(row: Row) -> OperationRecord:
    fenced_by = None
    if row["fenced_by_bank"] is not None:
        fenced_by = OperationKey(
            row["fenced_by_bank"],
            OperationKind(row["fenced_by_kind"]),
            row["fenced_by_trace_date"],
            row["fenced_by_trace_no"],
        )
    return OperationRecord(
        OperationKey(row["bank"], OperationKind(row["kind"]), row["trace_date"], row["trace_no"]),
        row["customer_no"],
        row["digest"],
        outcome_from_json(row["outcome"]),
        row["payment_id"],
        row["fence"],
        fenced_by,
    )


def posting_from(row: Row, lines: Sequence[PostedLine]) -> Posting:
    kind = PostingKind(row["kind"])
    return Posting(
        payment_id=row["payment_id"],
        kind=kind,
        key=OperationKey(row["bank"], _OPERATION_KIND[kind], row["trace_date"], row["trace_no"]),
        customer_no=row["customer_no"],
        org_code=row["org_code"],
        amount_fen=row["amount_fen"],
        channel=Channel(row["channel"]),
        settle_method=SettleMethod(row["settle_method"]),
        outlet=row["outlet"],
        operator=row["operator"],
        paid_at=row["paid_at"],
        paid_date=row["paid_date"],
        clearing_date=row["clearing_date"],
        reference_no=row["reference_no"],
        original_payment_id=row["original_payment_id"],
        prepayment_opening_fen=row["prepayment_opening_fen"],
        prepayment_movement_fen=row["prepayment_movement_fen"],
        lines=tuple(lines),
        trace_id=row["trace_id"],
    )


def line_from(row: Row) -> PostedLine:
    return PostedLine(
        row["receivable_id"],
        row["billing_month"],
        row["charge_kind"],
        row["org_code"],
        row["principal_fen"],
        row["penalty_fen"],
    )


def key_columns(keys: Iterable[OperationKey]) -> Columns:
    """Banks, kinds, trace dates, trace numbers."""
    columns = [list(column) for column in zip(*map(_key_row, keys), strict=True)]
    return columns or [[], [], [], []]


def outcome_texts(decided: Iterable[Decided]) -> OutcomeTexts:
    """The text of every outcome of a batch, made once: a record and its evidence tell the same one."""
    kept = {id(record.outcome): record.outcome for one in decided for record in one.effects.records}
    kept.update((id(one.outcome), one.outcome) for one in decided if proof.moves_money(one.operation))
    return {number: outcome_to_json(outcome) for number, outcome in kept.items()}


def operation_rows(decided: Iterable[Decided], texts: OutcomeTexts) -> Rows:
    """In the order of their keys."""
    records = sorted(
        ((record, one.trace_id) for one in decided for record in one.effects.records),
        key=lambda pair: key_order(pair[0].key),
    )
    return [_operation_row(record, texts[id(record.outcome)], trace_id) for record, trace_id in records]


def _operation_row(record: OperationRecord, text: str, trace_id: str) -> tuple[Any, ...]:
    key, by = record.key, record.fenced_by
    fenced_by = (None, None, None, None) if by is None else (by.bank, by.kind, by.trace_date, by.trace_no)
    return (
        key.bank,
        key.kind,
        key.trace_date,
        key.trace_no,
        record.customer_no,
        record.digest,
        text,
        record.payment_id,
        record.fence,
        *fenced_by,
        trace_id,
    )


def payment_rows(postings: Iterable[Posting]) -> Rows:
    """In the order given: a later posting of a batch may undo an earlier one, and the order of booking is kept."""
    return [_payment_row(posting) for posting in postings]


def _payment_row(posting: Posting) -> tuple[Any, ...]:
    return (
        posting.payment_id,
        posting.kind,
        posting.key.bank,
        posting.key.trace_date,
        posting.key.trace_no,
        posting.customer_no,
        posting.org_code,
        posting.amount_fen,
        posting.channel,
        posting.settle_method,
        posting.outlet,
        posting.operator,
        posting.paid_at,
        posting.paid_date,
        posting.clearing_date,
        posting.reference_no,
        posting.original_payment_id,
        posting.prepayment_opening_fen,
        posting.prepayment_movement_fen,
        posting.trace_id,
    )


def entry_rows(decided: Iterable[Decided]) -> Rows:
    """The entries of every posting, numbered from 1; what concerns a receivable carries its unit and charge kind."""
    rows: Rows = []
    for booking in (booking for one in decided for booking in one.effects.bookings):
        posting = booking.posting
        head = (posting.key.bank, posting.channel, posting.clearing_date)
        lines = {line.receivable_id: (line.charge_kind, line.org_code) for line in posting.lines}
        for line_no, entry in enumerate(booking.entries, start=1):
            tail = (None, posting.org_code) if entry.receivable_id is None else lines[entry.receivable_id]
            rows.append(
                (
                    posting.payment_id,
                    line_no,
                    entry.account,
                    entry.amount_fen,
                    *head,
                    entry.receivable_id,
                    entry.billing_month,
                    *tail,
                )
            )
    return rows


def evidence_rows(decided: Iterable[Decided], texts: OutcomeTexts) -> Rows:
    rows: Rows = []
    for one in decided:
        evidence, key = one.evidence, one.operation.key
        if evidence is None or not proof.moves_money(one.operation):
            continue
        rows.append(
            (
                key.bank,
                key.kind,
                key.trace_date,
                key.trace_no,
                evidence.trace_id,
                evidence.key_id,
                evidence.wire,
                evidence.received_at,
                texts[id(one.outcome)],
                proof.pack(evidence.request),
            )
        )
    return rows


def sign_event_rows(decided: Iterable[Decided]) -> Rows:
    events = [(one.effects.sign_event, one.trace_id) for one in decided if one.effects.sign_event is not None]
    return [(*_key_row(event.key), event.signed_on, trace_id) for event, trace_id in events]


def _key_row(key: OperationKey) -> tuple[Any, ...]:
    return key.bank, key.kind, key.trace_date, key.trace_no
