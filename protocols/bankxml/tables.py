"""The grammar of the XML profile: every element of every message, in its order, with its kind and its meaning.

Strategy: literal tables. The wire page prints them, the reader and the writer walk them, and a test holds them
against the dataclasses. Words of closed lists (channels, settle methods, classes, states) are repeated here, because
this room knows no other; a test of the gateway holds them against its enumerations.
"""

from __future__ import annotations

from types import MappingProxyType

from protocols.bankxml import kinds, messages
from protocols.bankxml.elements import Group, Leaf, Occurs

VERSION = "1"
MAX_REQUEST_BYTES = 65_536
"""The longest request (100 named bills, indented, with its signature) is about 10 KB."""
MAX_LINES = 500
"""Bills or settled lines in one reply; 500 of them are about 200 KB."""
MAX_NAMED_BILLS = 100
"""Receivables that one request may name."""

CHANNELS = (
    "BANK_COUNTER",
    "ATM",
    "POS",
    "PHONE_BANK",
    "INTERNET_BANK",
    "MOBILE_BANK",
    "KIOSK",
    "AGENT_OUTLET",
    "UTILITY_COUNTER",
    "CALL_CENTRE",
    "THIRD_PARTY_WALLET",
    "BATCH_DEBIT",
    "ENTRUSTED_COLLECTION",
)
SETTLE_METHODS = ("CASH", "CHEQUE", "CARD", "TRANSFER", "WALLET")
OUTCOME_CLASSES = ("success", "final_refusal", "retry_later", "unknown_outcome")
UNDO_RESULTS = ("DONE_SAME_DAY", "DONE_NEXT_DAY", "NOTHING_TO_UNDO")
PAYMENT_STATES = ("BOOKED", "CANCELLED", "REFUSED", "FENCED")

PARTY = kinds.pattern("[A-Za-z0-9]{1,20}", "1 to 20 letters or digits")
MESSAGE_ID = kinds.pattern("[A-Za-z0-9._-]{1,35}", "1 to 35 letters, digits, '.', '_' or '-'")
KEY_ID = kinds.pattern("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "1 to 64 letters, digits, '.', '_' or '-'")
NONCE = kinds.pattern("[A-Za-z0-9._-]{16,64}", "16 to 64 letters, digits, '.', '_' or '-'")
TRACE_NO = kinds.pattern("[A-Za-z0-9]{1,32}", "1 to 32 letters or digits")
CUSTOMER_NO = kinds.pattern("[A-Za-z0-9]{1,32}", "1 to 32 letters or digits")
RECEIVABLE_ID = kinds.pattern("[!-~]{1,32}", "1 to 32 printable ASCII characters, no space")
OUTLET = kinds.pattern("[A-Za-z0-9-]{1,12}", "1 to 12 letters, digits or '-'")
OPERATOR = kinds.pattern("[A-Za-z0-9-]{1,20}", "1 to 20 letters, digits or '-'")
REFERENCE_NO = kinds.pattern("[A-Za-z0-9]{1,32}", "1 to 32 letters or digits")
CODE = kinds.pattern("[0-9A-Za-z]{2,3}", "2 or 3 letters or digits")
MESSAGE_TYPE = kinds.pattern("[a-z]{1,20}(\\.[a-z]{1,20}){1,3}", "a message type, as bill.enquiry.req")

_OPTIONAL = Occurs.OPTIONAL
_MANY = Occurs.MANY

HEADER = Group(
    "Hdr",
    "header",
    messages.Header,
    (
        Leaf("Ver", "version", kinds.one_of((VERSION,)), "version of this profile 版本"),
        Leaf("MsgTp", "message_type", MESSAGE_TYPE, "message type 报文类型"),
        Leaf("Sndr", "sender", PARTY, "code of the sender 发送方"),
        Leaf("Rcvr", "receiver", PARTY, "code of the receiver 接收方"),
        Leaf("MsgId", "message_id", MESSAGE_ID, "new for every message, repeated ones too 报文标识"),
        Leaf("OrigMsgId", "original_message_id", MESSAGE_ID, "in replies: MsgId of the request 原报文标识", _OPTIONAL),
        Leaf("SndTm", "sent_at", kinds.MOMENT, "when the message was sent 发送时间"),
        Leaf("ClrDt", "clearing_date", kinds.DATE, "in replies: the clearing date, which binds 清算日期", _OPTIONAL),
        Leaf("KeyId", "key_id", KEY_ID, "name of the key that signs this message 密钥标识"),
        Leaf("Nonce", "nonce", NONCE, "random, new for every message 随机数"),
    ),
    "header 报文头",
)

_TRACE = (
    Leaf("TrcDt", "trace_date", kinds.DATE, "the bank's trace date 银行流水日期"),
    Leaf("TrcNo", "trace_no", TRACE_NO, "the bank's trace number 银行流水号"),
)
_TRACE_AND_CUSTOMER = (*_TRACE, Leaf("CstmrNo", "customer_no", CUSTOMER_NO, "customer number 户号"))
_REFERENCE = Leaf("RefNo", "reference_no", REFERENCE_NO, "our reference number 系统参考号", _OPTIONAL)
_AMOUNT_OF_REPLY = Leaf("Amt", "amount", kinds.AMOUNT_OR_ZERO, "amount booked 入账金额", _OPTIONAL)

_BILLS = Group(
    "Bills",
    "bills",
    messages.Bills,
    (
        Leaf("All", "all_bills", kinds.MARK, "all bills of the customer 全部电费", _OPTIONAL, absent=False),
        Leaf("Mth", "billing_month", kinds.MONTH, "the bills of one month 电费年月", _OPTIONAL),
        Leaf("RcvblId", "receivable_ids", RECEIVABLE_ID, "a named bill 应收标识", _MANY, limit=MAX_NAMED_BILLS),
    ),
    "which bills: exactly one of All, Mth, RcvblId 缴费范围",
)

_ORIGINAL = Group(
    "Orgnl",
    "original",
    messages.Original,
    (
        Leaf("TrcDt", "trace_date", kinds.DATE, "trace date of the payment 原流水日期"),
        Leaf("TrcNo", "trace_no", TRACE_NO, "trace number of the payment 原流水号"),
        Leaf("RefNo", "reference_no", REFERENCE_NO, "our reference number, if known 原系统参考号", _OPTIONAL),
    ),
    "the payment that is meant 原交易",
)

_RESULT = Group(
    "Rslt",
    "result",
    messages.Result,
    (
        Leaf("Cls", "outcome_class", kinds.one_of(OUTCOME_CLASSES), "class: rules what to do 结果类别"),
        Leaf("Cd", "code", CODE, "response code 返回码"),
        Leaf("TxtEn", "text_english", kinds.free_text(140), "the code in English 英文说明"),
        Leaf("TxtZh", "text_chinese", kinds.free_text(140), "the code in Chinese 中文说明"),
        Leaf("Note", "note", kinds.free_text(280), "where and why, for people 备注", _OPTIONAL),
    ),
    "result 结果",
)

_BILL_LINE = Group(
    "Bill",
    "bills",
    messages.BillLine,
    (
        Leaf("RcvblId", "receivable_id", RECEIVABLE_ID, "the bill's own number 应收标识"),
        Leaf("Mth", "billing_month", kinds.MONTH, "billing month 电费年月"),
        Leaf("Prncpl", "principal", kinds.AMOUNT_OR_ZERO, "principal still owed 本金"),
        Leaf("Pnlty", "penalty", kinds.AMOUNT_OR_ZERO, "late-payment penalty as of today 违约金"),
        Leaf("Owd", "owed", kinds.AMOUNT_OR_ZERO, "principal plus penalty 应缴金额"),
        Leaf("DueDt", "due_date", kinds.DATE, "due date 缴费截止日"),
        Leaf("PrtlAllwd", "partial_payment_allowed", kinds.FLAG, "part payment allowed 部分缴费标志"),
        Leaf("Lckd", "locked", kinds.FLAG, "in a batch debit, can't be paid now 批扣锁定"),
    ),
    "one open bill, oldest first 欠费明细",
    _MANY,
    limit=MAX_LINES,
)

_SETTLED_LINE = Group(
    "Sttld",
    "lines",
    messages.SettledLine,
    (
        Leaf("RcvblId", "receivable_id", RECEIVABLE_ID, "the bill's own number 应收标识"),
        Leaf("Mth", "billing_month", kinds.MONTH, "billing month 电费年月"),
        Leaf("Prncpl", "principal", kinds.AMOUNT_OR_ZERO, "principal settled 实收本金"),
        Leaf("Pnlty", "penalty", kinds.AMOUNT_OR_ZERO, "penalty settled 实收违约金"),
    ),
    "what was settled of one bill 销账明细",
    _MANY,
    limit=MAX_LINES,
)

_STATUS = Group(
    "Sts",
    "status",
    messages.PaymentStatus,
    (
        Leaf("St", "state", kinds.one_of(PAYMENT_STATES), "state of the payment 交易状态"),
        _REFERENCE,
        Leaf("ClrDt", "clearing_date", kinds.DATE, "its clearing date 清算日期", _OPTIONAL),
        _AMOUNT_OF_REPLY,
        Leaf("Cd", "code", CODE, "code of its refusal 原返回码", _OPTIONAL),
    ),
    "what became of the payment 原交易结果",
    _OPTIONAL,
)


def _body(make: type, *parts: Leaf | Group, meaning: str) -> Group:
    return Group("Body", "body", make, parts, meaning)


_MONEY_TAKEN = (
    Leaf("Amt", "amount", kinds.AMOUNT, "amount the payer paid 缴费金额"),
    Leaf("PdTm", "paid_at", kinds.MOMENT, "the payer's date and time 缴费时间"),
    Leaf("Chnl", "channel", kinds.one_of(CHANNELS, "a word of section 5"), "where it was paid 收费渠道"),
    Leaf("SttlMtd", "settle_method", kinds.one_of(SETTLE_METHODS, "a word of section 5"), "how it was paid 结算方式"),
    Leaf("Outlt", "outlet", OUTLET, "outlet 网点", _OPTIONAL),
    Leaf("Oprtr", "operator", OPERATOR, "teller 柜员", _OPTIONAL),
)
_RECEIPT = (
    *_TRACE_AND_CUSTOMER,
    _RESULT,
    _REFERENCE,
    _AMOUNT_OF_REPLY,
    Leaf("SttldCnt", "line_count", kinds.COUNT, "bills settled in all, listed or not 销账笔数", _OPTIONAL),
    _SETTLED_LINE,
    Leaf("Prpmt", "prepayment", kinds.AMOUNT_SIGNED, "to prepayment; negative: drawn from it 预存变动", _OPTIONAL),
)
_UNDO_REQUEST = (
    *_TRACE_AND_CUSTOMER,
    _ORIGINAL,
    Leaf("Amt", "amount", kinds.AMOUNT, "the payment's amount, whole 原交易金额"),
)
_UNDO_REPLY = (
    *_TRACE_AND_CUSTOMER,
    _RESULT,
    _REFERENCE,
    _AMOUNT_OF_REPLY,
    Leaf("UndoRslt", "undo_result", kinds.one_of(UNDO_RESULTS), "what was done 撤销结果", _OPTIONAL),
    Leaf("OrgnlRefNo", "original_reference_no", REFERENCE_NO, "our number of the payment 原系统参考号", _OPTIONAL),
)

BODIES = MappingProxyType(
    {
        "bill.enquiry.req": _body(
            messages.BillEnquiryRequest, *_TRACE_AND_CUSTOMER, _BILLS, meaning="bill enquiry 查询欠费"
        ),
        "bill.enquiry.rsp": _body(
            messages.BillEnquiryReply,
            *_TRACE_AND_CUSTOMER,
            _RESULT,
            Leaf("Nm", "customer_name", kinds.free_text(64), "customer name 户名", _OPTIONAL),
            Leaf("Adr", "supply_address", kinds.free_text(128), "supply address 用电地址", _OPTIONAL),
            Leaf("BillCnt", "bill_count", kinds.COUNT, "open bills in all, listed or not 欠费笔数", _OPTIONAL),
            _BILL_LINE,
            Leaf("PrpmtBal", "prepayment_balance", kinds.AMOUNT_OR_ZERO, "prepayment balance 预存余额", _OPTIONAL),
            Leaf("AmtToPay", "amount_to_pay", kinds.AMOUNT_OR_ZERO, "owed less prepayment 应缴合计", _OPTIONAL),
            meaning="bills found 欠费应答",
        ),
        "payment.req": _body(
            messages.PaymentRequest,
            *_TRACE_AND_CUSTOMER,
            _BILLS,
            *_MONEY_TAKEN,
            meaning="payment 缴费",
        ),
        "payment.rsp": _body(messages.PaymentReply, *_RECEIPT, meaning="receipt 缴费应答"),
        "deposit.req": _body(
            messages.DepositRequest, *_TRACE_AND_CUSTOMER, *_MONEY_TAKEN, meaning="prepayment deposit 存入预付款"
        ),
        "deposit.rsp": _body(messages.PaymentReply, *_RECEIPT, meaning="receipt of a deposit 预付款应答"),
        "cancel.req": _body(messages.UndoRequest, *_UNDO_REQUEST, meaning="same-day cancel by a teller 当日抹账"),
        "cancel.rsp": _body(messages.UndoReply, *_UNDO_REPLY, meaning="answer to a cancel 抹账应答"),
        "reversal.req": _body(messages.UndoRequest, *_UNDO_REQUEST, meaning="reversal by the system 冲正"),
        "reversal.rsp": _body(messages.UndoReply, *_UNDO_REPLY, meaning="answer to a reversal 冲正应答"),
        "status.enquiry.req": _body(
            messages.StatusEnquiryRequest,
            *_TRACE_AND_CUSTOMER,
            _ORIGINAL,
            Leaf("Fnc", "fence", kinds.FLAG, "if not found, refuse it for ever 未找到则封锁"),
            meaning="status enquiry 交易状态查询",
        ),
        "status.enquiry.rsp": _body(
            messages.StatusEnquiryReply,
            *_TRACE_AND_CUSTOMER,
            _RESULT,
            _STATUS,
            meaning="answer to a status enquiry 状态应答",
        ),
        "refusal.rsp": _body(messages.RefusalReply, _RESULT, meaning="request not understood or not trusted 拒绝应答"),
    }
)
"""Message type to body table. Requests end in .req, replies in .rsp."""
REPLY_OF = MappingProxyType({name: name[:-3] + "rsp" for name in BODIES if name.endswith(".req")})
