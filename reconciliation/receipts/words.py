"""The report's columns and the words of its code lists: literal tables, in the order in which they are printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """A column: its name in the data, its heading, whether it is money (fen) or a count, whether the page shows it."""

    name: str
    chinese: str
    is_money: bool
    is_printed: bool = False


MEASURES: tuple[Measure, ...] = (
    Measure("count", "笔数", is_money=False, is_printed=True),
    Measure("customer_count", "户数", is_money=False, is_printed=True),
    Measure("principal_current_month", "本月电费", is_money=True, is_printed=True),
    Measure("principal_current_year", "当年往月", is_money=True, is_printed=True),
    Measure("principal_prior_year", "陈欠", is_money=True, is_printed=True),
    Measure("principal_total", "电费合计", is_money=True),
    Measure("penalty", "违约金", is_money=True, is_printed=True),
    Measure("other_charges", "其他费用", is_money=True, is_printed=True),
    Measure("prepayment_in", "预收", is_money=True, is_printed=True),
    Measure("prepayment_applied", "预收冲抵", is_money=True, is_printed=True),
    Measure("received_total", "实收合计", is_money=True),
    Measure("cash_total", "实收资金", is_money=True, is_printed=True),
    Measure("same_day_cancel_count", "当日冲正笔数", is_money=False),
    Measure("same_day_cancel_amount", "当日冲正金额", is_money=True),
    Measure("next_day_reversal_count", "隔日冲正笔数", is_money=False),
    Measure("next_day_reversal_amount", "隔日冲正金额", is_money=True),
)
# A distinct count does not add up over any dimension; it is shown on every row and summed on none.
NOT_ADDITIVE = ("customer_count",)

CHANNELS: Mapping[str, str] = {
    "BANK_COUNTER": "柜台",
    "ATM": "柜员机",
    "POS": "POS刷卡",
    "PHONE_BANK": "电话银行",
    "INTERNET_BANK": "网上银行",
    "MOBILE_BANK": "手机银行",
    "KIOSK": "自助终端",
    "AGENT_OUTLET": "代收网点",
    "UTILITY_COUNTER": "供电营业厅",
    "CALL_CENTRE": "客服中心",
    "THIRD_PARTY_WALLET": "第三方支付",
    "BATCH_DEBIT": "批量代扣",
    "ENTRUSTED_COLLECTION": "托收",
    "INTERNAL": "预收冲抵",
}
SETTLE_METHODS: Mapping[str, str] = {
    "CASH": "现金",
    "CHEQUE": "支票",
    "CARD": "银行卡",
    "TRANSFER": "转账",
    "WALLET": "电子钱包",
    "PREPAYMENT": "预存",
}
INTERNAL = {"INTERNAL": "内部"}  # in the place of a bank: what moved inside the ledger alone
SUBTOTAL, TOTAL, NEXT_DAY_REVERSAL = "小计", "合计", "隔日冲正"
TITLE = "实收电费日报表"
TITLE_ENGLISH = "Daily receipts"
