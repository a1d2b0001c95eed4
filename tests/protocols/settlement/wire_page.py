"""Makes the generated parts of docs/wire/settlement-files.md and the sample files in fixtures/settlement/.

Strategy: the page is prose with blocks between `<!-- generated: NAME -->` and `<!-- end -->`; each block is the text
of a function here, made from the tables that read and write the files. The samples are written by the product's
writer from the days below, but for the two published ones, which stand as they were published. A test compares both
with what is in the tree. To write them again, from the project's folder:

    .venv/bin/python tests/protocols/settlement/wire_page.py

The `.sig` files are signed with a key that is made for the purpose and thrown away: only its public half is kept. They
are kept as long as they fit their files; otherwise all are signed again, with a new key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from protocols.errors import SignatureError
from protocols.money import Money
from protocols.settlement.advice import ADVICE, Check
from protocols.settlement.bil import bil_layout
from protocols.settlement.layout import Layout, Record
from protocols.settlement.layouts import BIL, PIPE
from protocols.settlement.model import EntryKind, SettlementEntry, SettlementHeader
from protocols.settlement.names import SIG_SUFFIX, parse_name
from protocols.settlement.writer import write_settlement
from protocols.signing.detached import DigestAlgorithm, FileStatement, TrustedKey, check_sig, digest_of, make_sig

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "wire" / "settlement-files.md"
SAMPLES = ROOT / "fixtures" / "settlement"
ZONE = ZoneInfo("Asia/Shanghai")
KEY_ID = "settlement-2024"
KEY_FILE = SAMPLES / f"{KEY_ID}.pem"
FIVE_LINES = "RECON_301581000230_20240403_001.txt"
PIPE_DAY = "RECON_301581000230_20240404_001.txt"
BIL_DAY = "0002_20240403_315810_001.bil"
PUBLISHED_BIL = "0002_20120331_315810_001.bil"

# --- the sample days


def _pay(day: date, number: int, at: str, customer_no: str, fen: int) -> SettlementEntry:
    moment = datetime.strptime(f"{day:%Y%m%d} {at}", "%Y%m%d %H:%M:%S").replace(tzinfo=ZONE)
    return SettlementEntry(
        line_no=number + 1,
        kind=EntryKind.PAY,
        trace_date=day,
        trace_no=f"{moment:%H%M%S}{number:06d}",
        customer_no=customer_no,
        amount=Money(fen),
        clearing_date=day,
        paid_at=moment,
        channel="BANK_COUNTER",
        settle_method="CASH",
    )


def pipe_day() -> bytes:
    """A payment of two bills with a prepayment, a cancelled payment, a reversal of the day before, a remark."""
    day = date(2024, 4, 4)
    bills = replace(_pay(day, 1, "08:30:00", "0600012345", 8000), org_code="06000101", charge_kind="010")
    old = replace(
        bills, receivable_id="R0000000000011", billing_month="202402", principal=Money(7800), penalty=Money(200)
    )
    new = replace(
        bills,
        receivable_id="R0000000000012",
        billing_month="202403",
        amount=Money(6520),
        principal=Money(6520),
        penalty=Money(0),
    )
    rest = replace(bills, amount=Money(480), remark="余款转预收")
    paid = replace(_pay(day, 4, "09:12:44", "0600012399", 4000), receivable_id="R0000000000020", billing_month="202403")
    cancel = replace(
        _pay(day, 5, "09:15:02", "0600012399", 4000),
        kind=EntryKind.CANCEL,
        receivable_id="R0000000000020",
        billing_month="202403",
        original_trace_date=day,
        original_trace_no=paid.trace_no,
        remark="柜员抹账：金额录错",
    )
    reversal = replace(
        _pay(day, 6, "10:00:30", "0600012400", 1250),
        kind=EntryKind.REVERSAL,
        channel="MOBILE_BANK",
        settle_method="TRANSFER",
        original_trace_date=date(2024, 4, 3),
        original_trace_no="235958000871",
    )
    header = SettlementHeader(clearing_date=day, bank="301581000230", utility="GDELEC")
    return write_settlement(header, [old, new, rest, paid, cancel, reversal], PIPE, ZONE)


def bil_day() -> bytes:
    """A payment by card, one by cash of all months, its cancel by reference, a payment and its reversal by trace."""
    day = date(2024, 4, 3)
    card = replace(
        _pay(day, 1, "09:05:01", "012345678901", 10000),
        reference_no="240403000012",
        billing_month="202403",
        account="62220000000000018",
    )
    cash = replace(_pay(day, 2, "09:20:17", "012345678902", 5600), reference_no="240403000013")
    cancel = replace(
        _pay(day, 3, "09:21:40", "012345678902", 5600),
        kind=EntryKind.CANCEL,
        reference_no="240403000014",
        original_reference_no="240403000013",
        utility_at=datetime(2024, 4, 3, 9, 20, 18, tzinfo=ZONE),
    )
    paid = _pay(day, 4, "17:59:58", "012345678903", 880)
    reversal = replace(
        paid,
        kind=EntryKind.REVERSAL,
        reference_no="240403000092",
        original_trace_date=day,
        original_trace_no=paid.trace_no,
    )
    header = SettlementHeader(clearing_date=day, utility_reference="24040300019051")
    return write_settlement(header, [card, cash, cancel, paid, reversal], bil_layout(customer_suffix=".0505"), ZONE)


MADE: dict[str, Callable[[], bytes]] = {PIPE_DAY: pipe_day, BIL_DAY: bil_day}
SIGNED: dict[str, Layout] = {FIVE_LINES: PIPE, PIPE_DAY: PIPE, BIL_DAY: BIL}


def statement(name: str, layout: Layout) -> FileStatement:
    parsed = parse_name(name, layout)
    digest = digest_of([(SAMPLES / name).read_bytes()])
    return FileStatement(parsed.bank, parsed.clearing_date, parsed.sequence, name, digest)


def check_sigs() -> None:
    """Raise SignatureError unless every `.sig` fits its file, by the published public key."""
    public = load_pem_public_key(KEY_FILE.read_bytes())
    assert isinstance(public, rsa.RSAPublicKey)
    for name, layout in SIGNED.items():
        sig = (SAMPLES / (name + SIG_SUFFIX)).read_bytes()
        check_sig(sig, statement(name, layout), TrustedKey(KEY_ID, public))


# --- the blocks of the page

MEANINGS = {
    "tag": "kind of line",
    "kind": "kind of file",
    "version": "version of this layout",
    "bank": "bank's number, as in the file name 银行",
    "utility": "utility's code, as agreed 供电企业",
    "clearing_date": "the day that is settled 清算日期",
    "currency": "ISO 4217 币种",
    "count": "number of detail lines 总笔数",
    "net": "payments minus cancels and reversals 净额",
    "payment_count": "number of `PAY` lines 缴费笔数",
    "payment_amount": "their sum 缴费金额",
    "cancel_count": "number of `CANCEL` and `REVERSAL` lines 抹账、冲正笔数",
    "cancel_amount": "their sum, positive 抹账、冲正金额",
    "seq": "counts the detail lines from 1 序号",
    "type": "payment, cancel or reversal 类型",
    "trace_date": "date of your trace, as in your message 流水日期",
    "trace_no": "your trace number, as in your message 流水号",
    "paid_at": "when the payer paid, local time 缴费时间",
    "customer_no": "customer number 户号",
    "receivable_id": "the bill that was paid 应收标识; empty for a prepayment",
    "billing_month": "month of the bill 电费年月",
    "org_code": "accounting unit of the bill 单位编码",
    "charge_kind": "charge kind 费用类型: 010 energy, 020 illegal use, 030 connection",
    "amount": "amount of this line, always positive 金额",
    "principal": "of it: energy charge 本金",
    "penalty": "of it: late-payment penalty 违约金",
    "channel": "where it was paid 收费渠道, as in your messages",
    "settle_method": "how it was paid 结算方式, as in your messages",
    "status": "a file lists successes only 状态",
    "original_trace_date": "of the payment taken back; `PAY`: empty 原流水日期",
    "original_trace_no": "of the payment taken back; `PAY`: empty 原流水号",
    "remark": "free text 备注",
    "utility_reference": "the utility's reference for the day, if you have one 供电方参考号",
    "reference_no": "field 37 of the utility's reply 供电方参考号",
    "utility_clearing_date": "field 15 of the utility's reply 供电方清算日期; empty: the header's",
    "bank_time": "when the payer paid 银行时间",
    "account": "payer's account or card; empty for cash 账号",
    "original_reference_no": "`0400`: the payment's reference, zeros if its reply was lost; `0200`: empty 原参考号",
    "utility_date": "date at the utility, empty if not kept 供电方日期",
    "utility_time": "time at the utility, empty if not kept 供电方时间",
    "cheque_no": "cheque number; the whole column may be left out 支票号",
}
BIL_MEANINGS = {
    "count": "number of detail lines 总笔数",
    "net": "0200 minus 0400 净额",
    "trace_date": "date of your message, field 13 银行日期",
    "trace_no": "field 11 of your message 银行流水号",
    "type": "0200 payment, 0400 cancel or reversal 交易类型",
    "billing_month": "month and number of the bill; 99 for all of a month 电费年月",
}


def table(record: Record, meanings: dict[str, str]) -> str:
    rows = ["| # | Column | Form | At most | Empty | Meaning |", "|---|---|---|---|---|---|"]
    for number, column in enumerate(record.columns, start=1):
        empty = "no" if column.required else "allowed"
        form = column.kind.name.removeprefix("constant ")
        form = f"`{form}`" if form != column.kind.name else form
        rows.append(f"| {number} | `{column.name}` | {form} | {column.width} | {empty} | {meanings[column.name]} |")
    return "\n".join(rows)


def sample(name: str) -> str:
    content = (SAMPLES / name).read_bytes()
    return f"`{name}`, {len(content)} bytes:\n\n```\n{content.decode('gbk').replace(chr(13), '').rstrip()}\n```"


def sig_sample(name: str) -> str:
    return f"`{name}{SIG_SUFFIX}`:\n\n```\n{(SAMPLES / (name + SIG_SUFFIX)).read_text('ascii').rstrip()}\n```"


def digests() -> str:
    content = (SAMPLES / FIVE_LINES).read_bytes()
    rows = [f"| {algorithm} | `{digest_of([content], algorithm)}` |" for algorithm in DigestAlgorithm]
    return "\n".join([f"| Digest of `{FIVE_LINES}` | |", "|---|---|", *rows])


def checks() -> str:
    rows = ["| Check | Code | Meaning | What to do |", "|---|---|---|---|"]
    rows += [
        f"| {advice.check.value} | `{code}` | {advice.meaning} {advice.meaning_zh} | {advice.to_do} {advice.to_do_zh} |"
        for check in Check
        for code, advice in ADVICE.items()
        if advice.check is check
    ]
    return "\n".join(rows)


def _trailer_table() -> str:
    assert PIPE.trailer is not None
    return table(PIPE.trailer.record, MEANINGS)


BLOCKS: dict[str, Callable[[], str]] = {
    "pipe-header": lambda: table(PIPE.header, MEANINGS),
    "pipe-detail": lambda: table(PIPE.detail, MEANINGS),
    "pipe-trailer": _trailer_table,
    "pipe-samples": lambda: sample(FIVE_LINES) + "\n\n" + sample(PIPE_DAY),
    "bil-header": lambda: table(BIL.header, MEANINGS | BIL_MEANINGS),
    "bil-detail": lambda: table(BIL.detail, MEANINGS | BIL_MEANINGS),
    "bil-sample": lambda: sample(BIL_DAY),
    "digests": digests,
    "sig-samples": lambda: "\n\n".join(sig_sample(name) for name in SIGNED),
    "sig-key": lambda: f"```\n{KEY_FILE.read_text('ascii').rstrip()}\n```",
    "checks": checks,
}
_BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def render(page: str) -> str:
    """The page with every block made anew; ValueError unless each block is there exactly once."""
    names = [match[1] for match in _BLOCK.findall(page)]
    if sorted(names) != sorted(BLOCKS):
        raise ValueError(f"the page has other blocks: {sorted(set(names) ^ set(BLOCKS))}")
    return _BLOCK.sub(lambda match: match[1] + BLOCKS[match[2]]() + match[3], page)


def write() -> None:
    """Write samples, signatures and page."""
    for name, make in MADE.items():
        (SAMPLES / name).write_bytes(make())
    try:
        check_sigs()
    except (SignatureError, FileNotFoundError):
        private = rsa.generate_private_key(65537, 2048)
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        KEY_FILE.write_bytes(public)
        for name, layout in SIGNED.items():
            (SAMPLES / (name + SIG_SUFFIX)).write_bytes(make_sig(statement(name, layout), KEY_ID, private))
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    write()
