"""The match, written once as Ibis expressions.

Strategy: entries of both sides (see `entries`) meet in one full outer join on key 1, the payment's trace and the
direction. What is left on one side is looked for in the pool of the neighbouring days' open breaks (cross-day). Only
then a payment and its undo on one side, of equal amount and answered by nothing on the other side, are netted: a pair
in which the pool answers one half is no pair. Every row gets one verdict; its money effect is always the bank's signed
amount less the utility's, so the verdicts add up to the difference of the two days.

Key 2 (`proposals`) pairs the leftovers by customer, amount, bills where both show them, and days not further apart
than one. It only proposes: a person decides.
"""

from __future__ import annotations

from typing import Any

import ibis

from reconciliation.matching.entries import ENTRY_COLUMNS, PAY, UNDO

MATCHED = "MATCHED"
NETTED = "NETTED"
_KEY = ("direction", "key_date", "key_no")


def match(bank: Any, utility: Any, pool: Any) -> Any:
    """One row per entry or pair of entries of both sides, with `verdict`, `differs` and the effect on the money."""
    return judged(_with_pool(_paired(bank, utility), pool))


def _prefixed(entries: Any, prefix: str) -> Any:
    return entries.select(**{f"{prefix}_{name}": entries[name] for name in ENTRY_COLUMNS})


def _paired(bank: Any, utility: Any) -> Any:
    """Rank 1 of both sides joined; further ranks appended as they are, with the other side empty."""
    left, right = _prefixed(bank, "bank"), _prefixed(utility, "utility")
    joined = left.outer_join(
        right,
        [left[f"bank_{name}"] == right[f"utility_{name}"] for name in (*_KEY, "rank")]
        + [left.bank_rank == 1, right.utility_rank == 1],
    )
    return joined.mutate(
        **{name: ibis.coalesce(joined[f"bank_{name}"], joined[f"utility_{name}"]) for name in (*_KEY, "rank")},
        side=joined.utility_rank.isnull().ifelse("BANK", joined.bank_rank.isnull().ifelse("UTILITY", "BOTH")),
    )


def _with_pool(paired: Any, pool: Any) -> Any:
    """Add the open break of a neighbouring day: `pool_` of the other side, `related_` a payment of the same side."""
    other = _first_of_pool(pool)
    other = other.select(**{f"pool_{name}": other[name] for name in other.columns})
    same = other.select(
        related_side=other.pool_side,
        related_date=other.pool_key_date,
        related_no=other.pool_key_no,
        related_direction=other.pool_direction,
        related_break_id=other.pool_break_id,
        related_amount_fen=other.pool_amount_fen,
    )
    table = paired.left_join(
        other,
        [
            paired.direction == other.pool_direction,
            paired.key_date == other.pool_key_date,
            paired.key_no == other.pool_key_no,
            paired.side != "BOTH",
            paired.side != other.pool_side,
            paired["rank"] == 1,
        ],
    )
    return table.left_join(
        same,
        [
            same.related_direction == PAY,
            table.key_date == same.related_date,
            table.key_no == same.related_no,
            table.side == same.related_side,
        ],
    )


def _first_of_pool(pool: Any) -> Any:
    """One break per side, direction and key: the one of the earliest day."""
    order = ibis.window(group_by=["side", *_KEY], order_by=[pool.clearing_date, pool.break_id])
    numbered = pool.mutate(pool_order=ibis.row_number().over(order))
    return numbered.filter(numbered.pool_order == 0).drop("pool_order")


def judged(table: Any) -> Any:
    """The verdict of every row, and its effect on the money."""
    signed = {
        side: ibis.coalesce(
            (table.direction == PAY).ifelse(table[f"{side}_amount_fen"], -table[f"{side}_amount_fen"]), 0
        )
        for side in ("bank", "utility")
    }
    table = table.mutate(bank_signed_fen=signed["bank"], utility_signed_fen=signed["utility"])
    alone = (table.side != "BOTH") & table.pool_break_id.isnull()
    table = table.mutate(netting_side=alone.ifelse(table.side, ibis.null("string")))
    same_entry = ibis.window(group_by=["netting_side", "key_date", "key_no", "rank"])
    table = table.mutate(
        entries_alone=table.count().over(same_entry),
        sum_alone_fen=(table.bank_signed_fen + table.utility_signed_fen).sum().over(same_entry),
    )
    netted = table.netting_side.notnull() & (table.entries_alone == 2) & (table.sum_alone_fen == 0)
    return table.mutate(
        verdict=_verdict(table, netted),
        differs=_differs(table),
        difference_fen=netted.ifelse(0, table.bank_signed_fen - table.utility_signed_fen),
    ).drop("netting_side", "entries_alone", "sum_alone_fen")


def _verdict(table: Any, netted: Any) -> Any:
    repeated = (table.related_break_id.notnull() & (table.direction == PAY)) | (table["rank"] > 1)
    one_sided = ibis.cases(
        (table.pool_break_id.notnull(), "CROSS_DAY"),
        (netted, NETTED),
        (repeated & (table.side == "BANK"), "DUPLICATE_BANK"),
        (repeated & (table.side == "UTILITY"), "DUPLICATE_UTILITY"),
        (table.direction == UNDO, "STATUS_MISMATCH"),
        (table.side == "BANK", "BANK_ONLY"),
        else_="UTILITY_ONLY",
    )
    # In the order in which a clerk compares: the first difference names the break.
    pair = ibis.cases(
        (_customer_differs(table), "CUSTOMER_MISMATCH"),
        (table.bank_amount_fen != table.utility_amount_fen, "AMOUNT_MISMATCH"),
        (table.bank_clearing_date != table.utility_clearing_date, "CROSS_DAY"),
        (table.bank_status.notnull(), "STATUS_MISMATCH"),
        (_channel_differs(table), "CHANNEL_MISMATCH"),
        else_=MATCHED,
    )
    return (table.side == "BOTH").ifelse(pair, one_sided)


def _customer_differs(table: Any) -> Any:
    return (table.bank_customer_no != table.utility_customer_no).fill_null(False)


def _channel_differs(table: Any) -> Any:
    """Only where the layout shows a channel: a missing one is null and differs from nothing."""
    channel = (table.bank_channel != table.utility_channel).fill_null(False)
    return channel | (table.bank_settle_method != table.utility_settle_method).fill_null(False)


def _differs(table: Any) -> Any:
    """All that differs between the two records, as words; for a cross-day pair against the pool's record."""
    customer = ibis.coalesce(table.bank_customer_no, table.pool_customer_no)
    utility_customer = ibis.coalesce(table.utility_customer_no, table.pool_customer_no)
    amount = ibis.coalesce(table.bank_amount_fen, table.pool_amount_fen)
    utility_amount = ibis.coalesce(table.utility_amount_fen, table.pool_amount_fen)
    compared = (table.side == "BOTH") | table.pool_break_id.notnull()
    words = [
        (compared & (customer != utility_customer).fill_null(False), "customer "),
        (compared & (amount != utility_amount).fill_null(False), "amount "),
        (table.bank_status.notnull(), "status "),
        ((table.bank_channel != table.utility_channel).fill_null(False), "channel "),
        ((table.bank_settle_method != table.utility_settle_method).fill_null(False), "settle_method "),
    ]
    text = ibis.literal("")
    for condition, word in words:
        text = text.concat(condition.ifelse(word, ""))
    return text.strip()


def proposals(differences: Any, pool: Any, days: int = 1) -> Any:
    """Key 2: pairs (bank trace, utility trace or pool break) that may be the same payment. Proposed, never booked."""
    left = differences.filter(differences.verdict == "BANK_ONLY")
    right = differences.filter(differences.verdict == "UTILITY_ONLY")
    bank = _candidates(left, "bank").union(_pool_candidates(pool, "BANK"))
    utility = _candidates(right, "utility").union(_pool_candidates(pool, "UTILITY"))
    bank = bank.select(**{f"bank_{name}": bank[name] for name in bank.columns})
    utility = utility.select(**{f"utility_{name}": utility[name] for name in utility.columns})
    apart = bank.bank_clearing_date.delta(utility.utility_clearing_date, unit="day").abs()
    bills_agree = (
        bank.bank_receivable_ids.isnull()
        | utility.utility_receivable_ids.isnull()
        | (bank.bank_receivable_ids == utility.utility_receivable_ids)
    )
    joined = bank.inner_join(
        utility,
        [
            bank.bank_customer_no == utility.utility_customer_no,
            bank.bank_amount_fen == utility.utility_amount_fen,
            bills_agree,
            apart <= days,
        ],
    )
    of_today = joined.filter(joined.bank_break_id.isnull() | joined.utility_break_id.isnull())
    return of_today.order_by(
        ["bank_key_date", "bank_key_no", "utility_key_date", "utility_key_no", "bank_break_id", "utility_break_id"]
    )


_CANDIDATE = ("key_date", "key_no", "customer_no", "amount_fen", "clearing_date", "receivable_ids")


def _candidates(rows: Any, side: str) -> Any:
    return rows.select(
        **{name: rows[f"{side}_{name}"] for name in _CANDIDATE},
        break_id=ibis.null("string"),
    )


def _pool_candidates(pool: Any, side: str) -> Any:
    mine = pool.filter(pool.side == side, pool.direction == PAY)
    return mine.select(*_CANDIDATE, "break_id")
