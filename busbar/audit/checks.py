"""What is checked: one row a check, its SQL in `sql/NAME.sql`.

Every statement takes the most rows to name ($1) and gives (place, finding, offences): where, what, and how many there
are in all. It runs in the scope of one partition (its schema is the search path), of the whole installation (the views
`every_…`, with the partition's number), or of the banks' acknowledgement logs (the table `acknowledged`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    PARTITION = "partition"
    INSTALLATION = "installation"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Check:
    """`english` and `chinese` say what holds in a sound ledger, in one line."""

    name: str
    scope: Scope
    english: str
    chinese: str


_PARTITION = (
    ("entries_sum_to_zero", "the entries of every payment sum to zero", "每笔交易的分录借贷平衡"),
    ("entry_has_payment", "every entry belongs to a payment", "每条分录都有所属交易"),
    (
        "entry_copies_payment",
        "entries carry their payment's bank, channel and dates",
        "分录的银行、渠道、日期与交易一致",
    ),
    ("entry_names_bill", "entries name a bill of the payer, as the bill is", "分录所列账单属于缴费用户且内容一致"),
    ("currency_is_the_ledgers", "all money is in the ledger's currency", "币种与账本一致"),
    (
        "bill_not_over_settled",
        "no bill has received more than its principal, or less than nothing",
        "账单销账额不超过应收",
    ),
    ("bill_running_sums", "what a bill says it has received is the sum of its entries", "账单已收额等于分录之和"),
    ("prepayment_adds_up", "opening + movement = closing, and the entries move as much", "预存：期初加发生等于期末"),
    ("prepayment_is_a_chain", "a prepayment opens with what the posting before closed with", "预存：期初等于上笔期末"),
    (
        "prepayment_balance",
        "a balance is the sum of its prepayment entries, not below zero",
        "预存余额等于分录之和且不为负",
    ),
    (
        "due_from_bank",
        "every payment has one entry of what the bank owes, of its amount",
        "每笔交易一条应收银行分录且金额相符",
    ),
    ("operation_has_payment", "what was approved is booked, what was refused is not", "受理成功的已入账，拒绝的未入账"),
    ("payment_has_operation", "every payment was approved, once", "每笔入账有且仅有一次受理成功"),
    ("operation_tells_payment", "what the bank was answered is what was booked", "答复内容与入账一致"),
    (
        "undo_names_original",
        "an undo names a payment of the same bank, customer and amount",
        "撤销指向同行同户同额的原交易",
    ),
    ("undone_once", "a payment is undone at most once", "一笔交易最多撤销一次"),
    ("undo_negates_entries", "an undo turns the entries of its original", "撤销分录与原分录相抵"),
    ("clearing_day_exists", "every clearing date was opened", "清算日期均已开启"),
    ("recorded_within_day", "recorded while its clearing day was open", "记账时间在清算日开放期间内"),
    ("customer_at_home", "customers live where their payment number says", "用户在其缴费号所属分区"),
    ("payment_has_customer", "every payment's customer lives in its partition", "每笔交易的用户在本分区"),
    ("evidence_kept", "the request of every operation that moves money is kept", "每笔资金操作留有原始报文"),
    ("evidence_has_operation", "whatever a bank was told is done is recorded", "答复成功的均有受理记录"),
    ("fence_has_reason", "every fence names the operation that left it", "每个封锁注明来由"),
    ("reference_number", "reference numbers are partition and payment id", "参考号格式正确"),
)
_INSTALLATION = (
    ("ledger_sums_to_zero", "all entries together sum to zero", "全部分录合计为零"),
    ("key_used_once", "a bank's trace number is used once over all partitions", "银行流水号跨分区唯一"),
    ("reference_used_once", "a reference number is used once", "参考号唯一"),
    ("customer_lives_once", "a customer lives in one partition", "用户只在一个分区"),
    ("bill_stands_once", "a bill stands in one partition", "账单只在一个分区"),
)
_ACKNOWLEDGED = (
    ("acknowledged_consistently", "a bank was never told two different things", "同一流水的成功答复前后一致"),
    ("acknowledged_is_booked", "everything acknowledged is in the ledger, once", "已确认成功的均入账一次"),
    (
        "acknowledged_as_booked",
        "amount, reference and clearing date are those acknowledged",
        "金额、参考号、清算日期与确认一致",
    ),
    ("refused_is_not_booked", "what was refused for good is not in the ledger", "最终拒绝的未入账"),
)

CHECKS: tuple[Check, ...] = tuple(
    Check(name, scope, english, chinese)
    for scope, rows in (
        (Scope.PARTITION, _PARTITION),
        (Scope.INSTALLATION, _INSTALLATION),
        (Scope.ACKNOWLEDGED, _ACKNOWLEDGED),
    )
    for name, english, chinese in rows
)


def checks_of(scope: Scope) -> tuple[Check, ...]:
    return tuple(check for check in CHECKS if check.scope is scope)
