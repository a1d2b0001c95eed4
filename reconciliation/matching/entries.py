"""Each side's evidence as entries: one row per payment or undo, keyed by the payment that it is about.

Strategy, as Ibis expressions that any engine can run:

- The key is (direction, trace date, trace number) of the *payment*, the bank being fixed by the run. A cancel or a
  reversal carries the direction UNDO and the key of the payment that it undoes, because banks number their undos in
  different ways (a number of its own, or the payment's again) while a payment can be undone only once.
- Lines of one trace are one payment: its amount is their sum. A line that repeats another line of its trace (same
  customer, bill and month; where the layout shows no bill, same amount too), or names another customer, belongs to a
  second payment under the same trace: `rank` numbers them and 1 is the one that may match.
- One trace posted twice by us gets ranks too. A posting and its undo share a rank; first comes the posting whose
  customer the bank names, then one that was not undone that day, then the earlier one.
"""

from __future__ import annotations

from typing import Any

import ibis

PAY = "PAY"
UNDO = "UNDO"
# Kinds of posting that a bank lists as a payment: a deposit is one without a bill.
MONEY_TAKEN = ("PAYMENT", "PREPAYMENT_DEPOSIT")
# What either side's entry is made of; matching adds the prefix bank_ or utility_.
ENTRY_COLUMNS = (
    "direction",
    "key_date",
    "key_no",
    "rank",
    "kind",
    "trace_date",
    "trace_no",
    "customer_no",
    "amount_fen",
    "clearing_date",
    "status",
    "channel",
    "settle_method",
    "reference_no",
    "receivable_ids",
    "paid_at",
    "line_no",
)
# How files say "this entry succeeded"; a settlement file holds only successes.
SUCCESS_STATUSES = ("OK", "0000", "00", "S")
_LINE_IDENTITY = (
    "direction",
    "key_date",
    "key_no",
    "trace_date",
    "trace_no",
    "customer_no",
    "receivable_id",
    "billing_month",
    "charge_kind",
    "amount_if_no_bill",
)
_GROUP = ("direction", "key_date", "key_no", "trace_date", "trace_no", "customer_no", "occurrence")


def ledger_entries(payments: Any, receipt_lines: Any, bank_entries: Any) -> Any:
    """The ledger's postings of the day (`payments`: evidence rows of one bank) as entries."""
    keyed = ledger_keys(payments)
    bills = receipt_lines.group_by(["partition", "payment_id"]).agg(
        receivable_ids=receipt_lines.receivable_id.group_concat(" ", order_by=receipt_lines.receivable_id)
    )
    bills = bills.rename(bill_partition="partition", bill_payment_id="payment_id")
    named = bank_entries.filter(bank_entries.rank == 1, bank_entries.direction == PAY).select(
        named_date=bank_entries.key_date, named_no=bank_entries.key_no, named_customer=bank_entries.customer_no
    )
    joined = keyed.left_join(
        bills, [keyed.partition == bills.bill_partition, keyed.payment_id == bills.bill_payment_id]
    )
    joined = joined.left_join(named, [joined.key_date == named.named_date, joined.key_no == named.named_no])
    per_key = ibis.window(group_by=["key_date", "key_no", "pair"])
    whole_key = ibis.window(
        group_by=["key_date", "key_no"], order_by=["stranger", "undone", "first_recorded_at", "pair"]
    )
    ranked = joined.mutate(stranger=(joined.customer_no != joined.named_customer).fill_null(False).cast("int64"))
    ranked = ranked.mutate(
        undone=(ranked.direction == UNDO).cast("int64").max().over(per_key),
        first_recorded_at=ranked.recorded_at.min().over(per_key),
    )
    # Dense, so that a posting and its undo (the same pair) have one rank.
    return ranked.mutate(rank=ibis.dense_rank().over(whole_key) + 1).select(
        *(name for name in ENTRY_COLUMNS if name not in ("status", "line_no")),
        status=ibis.null("string"),
        line_no=ibis.null("int64"),
    )


def ledger_keys(payments: Any) -> Any:
    """Postings with direction, key and `pair` (the reference number of the payment that they are about)."""
    is_payment = payments.kind.isin(MONEY_TAKEN)
    return payments.mutate(
        direction=is_payment.ifelse(PAY, UNDO),
        key_date=is_payment.ifelse(payments.trace_date, payments.original_trace_date),
        key_no=is_payment.ifelse(payments.trace_no, payments.original_trace_no),
        pair=is_payment.ifelse(payments.reference_no, payments.original_reference_no),
    )


def bank_entries(lines: Any, payments: Any, pool: Any) -> Any:
    """The file's lines as entries; `payments` and `pool` tell which payment an undo with a bare reference means."""
    keyed = _bank_keys(lines, payments, pool)
    same_line = ibis.window(group_by=list(_LINE_IDENTITY), order_by=keyed.line_no)
    occurring = keyed.mutate(occurrence=ibis.row_number().over(same_line))
    bad_status = occurring.status.isin(SUCCESS_STATUSES).ifelse(ibis.null("string"), occurring.status)
    groups = occurring.group_by(list(_GROUP)).agg(
        kind=occurring.kind.min(),
        amount_fen=occurring.amount_fen.sum().cast("int64"),
        clearing_date=occurring.clearing_date.min(),
        status=bad_status.max(),
        channel=occurring.channel.min(),
        settle_method=occurring.settle_method.min(),
        reference_no=occurring.reference_no.min(),
        receivable_ids=occurring.receivable_id.group_concat(" ", order_by=occurring.receivable_id),
        paid_at=occurring.paid_at.min(),
        line_no=occurring.line_no.min(),
    )
    in_file_order = ibis.window(group_by=["direction", "key_date", "key_no"], order_by=groups.line_no)
    return groups.mutate(rank=ibis.row_number().over(in_file_order) + 1).select(*ENTRY_COLUMNS)


def _bank_keys(lines: Any, payments: Any, pool: Any) -> Any:
    """The payment that each line is about: the original that it names, by trace or by our reference, or itself."""
    postings = ledger_keys(payments)
    by_reference = (
        postings.select(known_reference=postings.pair, known_date=postings.key_date, known_no=postings.key_no)
        .union(
            pool.filter(pool.reference_no.notnull()).select(
                known_reference=pool.reference_no, known_date=pool.key_date, known_no=pool.key_no
            )
        )
        .group_by("known_reference")
        .agg(known_date=ibis._.known_date.min(), known_no=ibis._.known_no.min())
    )
    undos = postings.filter(postings.direction == UNDO)
    by_own_trace = undos.group_by(own_date=undos.trace_date, own_no=undos.trace_no).agg(
        undone_date=undos.key_date.min(), undone_no=undos.key_no.min()
    )
    direction = (lines.kind == "PAY").ifelse(PAY, UNDO)
    table = lines.mutate(direction=direction)
    table = table.left_join(
        by_reference,
        [table.original_reference_no == by_reference.known_reference, table.direction == UNDO],
    )
    table = table.left_join(
        by_own_trace,
        [table.trace_date == by_own_trace.own_date, table.trace_no == by_own_trace.own_no, table.direction == UNDO],
    )
    pays = table.direction == PAY
    return table.mutate(
        key_date=pays.ifelse(
            table.trace_date,
            ibis.coalesce(table.original_trace_date, table.known_date, table.undone_date, table.trace_date),
        ),
        key_no=pays.ifelse(
            table.trace_no, ibis.coalesce(table.original_trace_no, table.known_no, table.undone_no, table.trace_no)
        ),
        amount_if_no_bill=table.receivable_id.isnull().ifelse(table.amount_fen, 0),
    )
