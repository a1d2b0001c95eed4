"""Import: good rows are kept, bad lines are told without their values, twice is once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.database import connect
from gateway.ledger import importing
from gateway.ledger.import_lines import BILL_COLUMNS, CUSTOMER_COLUMNS, LineError, parse_header, parse_line
from gateway.ledger.importing import ImportRefused, ImportReport, import_bills, import_customers
from gateway.ledger.migrate import InstallationMismatch
from gateway.ledger.partitions import home, load_directory

from .installations import PARTITIONS, Installation, at_home

CUSTOMER_HEADER = "customer_no,payment_no,name,supply_address,org_code,customer_class,usage_category,penalty_exempt"
BILL_HEADER = (
    "receivable_id,customer_no,billing_month,charge_kind,org_code,principal_fen,due_date,partial_payment_allowed"
)
GOOD_CUSTOMER = "0600000001,,张三,天河路1号,06010000,03,201,0"
GOOD_BILL = "R1,0600000001,202611,010,06010000,12345,2026-12-20,1"


def customer_line(customer_no: str, payment_no: str = "", name: str = "张三") -> str:
    return f"{customer_no},{payment_no},{name},天河路1号,06010000,03,201,false"


def bill_line(receivable_id: str, customer_no: str, principal_fen: int = 12_345) -> str:
    return f"{receivable_id},{customer_no},202611,010,06010000,{principal_fen},2026-12-20,1"


def file_of(folder: Path, header: str, *lines: str) -> Path:
    path = folder / "import.csv"
    path.write_bytes("\n".join([header, *lines, ""]).encode())
    return path


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.read, report.added, report.already_there, report.refused


@pytest.mark.parametrize(
    ("columns", "header", "line", "what"),
    [
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, ",,张三,a,O,03,201,0", "customer_no is not 1 to 32"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, "06 1,,张三,a,O,03,201,0", "customer_no is not 1 to 32"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, f"{'1' * 33},,张三,a,O,03,201,0", "customer_no is not 1 to 32"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, "1,户号,张三,a,O,03,201,0", "payment_no is not 1 to 32"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, "1,,,a,O,03,201,0", "name is empty"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, f"1,,{'张' * 65},a,O,03,201,0", "name has more than 64"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, "1,,张\x00三,a,O,03,201,0", "name has a character"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, "1,,张三,a,O,04,201,0", "customer_class is none of 01, 02, 03, 05"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, "1,,张三,a,O,03,201,perhaps", "penalty_exempt is neither"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, "1,,张三,a,O,03,201", "has 7 fields where the header has 8"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, '1,,"张三,a,O,03,201,0', "is not CSV"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, "", "is empty"),
        (CUSTOMER_COLUMNS, CUSTOMER_HEADER, f"1,,{'张' * 2000},a,O,03,201,0", "is longer than 4096 bytes"),
        (CUSTOMER_COLUMNS, f"{CUSTOMER_HEADER},prepayment_balance_fen", f"{GOOD_CUSTOMER},5", "can't be imported"),
        (BILL_COLUMNS, BILL_HEADER, "R1,1,202613,010,O,1,2026-12-20,1", "billing_month is not a month"),
        (BILL_COLUMNS, BILL_HEADER, "R1,1,2026-1,010,O,1,2026-12-20,1", "billing_month is not a month"),
        (BILL_COLUMNS, BILL_HEADER, "R1,1,202611,040,O,1,2026-12-20,1", "charge_kind is none of"),
        (BILL_COLUMNS, BILL_HEADER, "R1,1,202611,010,O,0,2026-12-20,1", "principal_fen is not a positive"),
        (BILL_COLUMNS, BILL_HEADER, "R1,1,202611,010,O,-5,2026-12-20,1", "principal_fen is not a positive"),
        (BILL_COLUMNS, BILL_HEADER, "R1,1,202611,010,O,1.00,2026-12-20,1", "principal_fen is not a positive"),
        (BILL_COLUMNS, BILL_HEADER, "R1,1,202611,010,O,99999999999999,2026-12-20,1", "principal_fen is not a positive"),
        (BILL_COLUMNS, BILL_HEADER, "R1,1,202611,010,O,1,2026-02-30,1", "due_date is not a date"),
        (BILL_COLUMNS, BILL_HEADER, "R1,1,202611,010,O,1,20261220,1", "due_date is not a date"),
    ],
)
def test_bad_lines(columns: object, header: str, line: str, what: str) -> None:
    names = parse_header(header.encode(), columns)  # type: ignore[arg-type]
    with pytest.raises(LineError) as caught:
        parse_line(line.encode(), names, columns)  # type: ignore[arg-type]
    assert str(caught.value).startswith(what) or what in str(caught.value)
    assert "张" not in str(caught.value)


def test_a_line_that_is_not_utf_8_names_the_byte() -> None:
    names = parse_header(CUSTOMER_HEADER.encode(), CUSTOMER_COLUMNS)
    with pytest.raises(LineError, match="not UTF-8 at byte 4"):
        parse_line("1,,张三,a,O,03,201,0".encode("gbk"), names, CUSTOMER_COLUMNS)


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("customer_no,name", "lacks the columns supply_address, org_code, customer_class, usage_category"),
        (f"{CUSTOMER_HEADER},password", "has a column that is not one of"),
        (f"{CUSTOMER_HEADER},name", "names a column twice"),
        ("", "is empty"),
    ],
)
def test_bad_headers(header: str, what: str) -> None:
    with pytest.raises(LineError, match=what):
        parse_header(header.encode(), CUSTOMER_COLUMNS)


def test_defaults_and_order_of_columns() -> None:
    header = parse_header(
        b"\xef\xbb\xbfdue_date,receivable_id,customer_no,billing_month,org_code,principal_fen\r\n", BILL_COLUMNS
    )
    row = parse_line(b"2026-12-20,R1,1,202611,O,7\r\n", header, BILL_COLUMNS)
    assert (row["charge_kind"], row["partial_payment_allowed"], row["locked"]) == ("010", False, False)
    assert (row["receivable_id"], row["principal_fen"], row["due_date"].isoformat()) == ("R1", 7, "2026-12-20")


async def test_customers_and_bills_go_home(installation: Installation, tmp_path: Path) -> None:
    numbers = [f"06{n:08d}" for n in range(1, 51)]
    seen: list[tuple[int, int]] = []
    report = await import_customers(
        installation.gateway_dsn,
        file_of(tmp_path, CUSTOMER_HEADER, *map(customer_line, numbers)),
        PARTITIONS,
        progress=lambda done, of: seen.append((done, of)),
    )
    assert counts(report) == (50, 50, 0, 0)
    assert seen[-1][0] == seen[-1][1] > 0
    bills = [bill_line(f"R{number}", number) for number in numbers]
    report = await import_bills(installation.gateway_dsn, file_of(tmp_path, BILL_HEADER, *bills), PARTITIONS)
    assert counts(report) == (50, 50, 0, 0)
    for table in ("customer", "receivable"):
        for partition in range(PARTITIONS):
            rows = await installation.admin.fetch(f"SELECT customer_no FROM ledger_{partition:02d}.{table}")
            at = [number for number in numbers if home(number, PARTITIONS) == partition]
            assert sorted(row["customer_no"] for row in rows) == at


async def test_twice_is_once_and_other_content_is_refused(installation: Installation, tmp_path: Path) -> None:
    customers = file_of(tmp_path, CUSTOMER_HEADER, customer_line("1"), customer_line("2"))
    await import_customers(installation.gateway_dsn, customers, PARTITIONS)
    assert counts(await import_customers(installation.gateway_dsn, customers, PARTITIONS)) == (2, 0, 2, 0)
    bills = file_of(tmp_path, BILL_HEADER, bill_line("R1", "1"), bill_line("R2", "2"))
    await import_bills(installation.gateway_dsn, bills, PARTITIONS)
    await installation.admin.execute("UPDATE ledger_00.receivable SET locked = true")
    await installation.admin.execute("UPDATE ledger_01.receivable SET locked = true, received_principal_fen = 5")
    assert counts(await import_bills(installation.gateway_dsn, bills, PARTITIONS)) == (2, 0, 2, 0)
    changed = file_of(
        tmp_path,
        BILL_HEADER,
        bill_line("R1", "1", 1),
        bill_line("R3", "1"),
        bill_line("R3", "1"),
        bill_line("R3", "1", 9),
    )
    report = await import_bills(installation.gateway_dsn, changed, PARTITIONS)
    assert counts(report) == (4, 1, 1, 2)
    assert [error.line_no for error in report.errors] == [2, 5]
    assert {error.what for error in report.errors} == {"is known with other content: an import adds and never changes"}
    assert await installation.count("receivable") == 3
    assert await installation.count("receivable", "principal_fen = 12345") == 3


async def test_bad_lines_are_told_and_good_ones_kept(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "LINES_IN_CHUNK", 2)
    await import_customers(installation.gateway_dsn, file_of(tmp_path, CUSTOMER_HEADER, customer_line("1")), PARTITIONS)
    lines = [
        bill_line("R1", "1"),
        bill_line("R2", "unknown"),
        "R3,1,202611",
        bill_line("R4", "1"),
        "x" * 10_000,
        bill_line("R5", "1", 0),
        bill_line("R6", "1"),
    ]
    report = await import_bills(installation.gateway_dsn, file_of(tmp_path, BILL_HEADER, *lines), PARTITIONS)
    assert counts(report) == (7, 3, 0, 4)
    assert [(error.line_no, error.what) for error in report.errors] == [
        (3, "customer_no is not known: import customers first"),
        (4, "has 3 fields where the header has 8"),
        (6, "is longer than 4096 bytes"),
        (7, "principal_fen is not a positive whole number of fen"),
    ]
    assert await installation.count("receivable") == 3


async def test_errors_are_bounded_and_all_counted(installation: Installation, tmp_path: Path) -> None:
    path = file_of(tmp_path, CUSTOMER_HEADER, *["bad"] * 50)
    report = await import_customers(installation.gateway_dsn, path, PARTITIONS, max_errors=3)
    assert (report.refused, len(report.errors)) == (50, 3)


async def test_payment_numbers_put_customers_together_for_ever(installation: Installation, tmp_path: Path) -> None:
    head = at_home(1, 0)
    member, single = at_home(0, 0), at_home(0, 1)
    lines = [customer_line(head), customer_line(member, head), customer_line(single)]
    report = await import_customers(installation.gateway_dsn, file_of(tmp_path, CUSTOMER_HEADER, *lines), PARTITIONS)
    assert counts(report) == (3, 3, 0, 0)
    assert await installation.value("SELECT count(*) FROM ledger_01.customer WHERE customer_no = $1", member) == 1
    connection = await connect(installation.gateway_dsn)
    directory = await load_directory(connection, PARTITIONS)
    await connection.close()
    assert (directory.home(member), directory.listed(member), len(directory)) == (1, head, 1)
    bills = file_of(tmp_path, BILL_HEADER, bill_line("R1", member))
    assert counts(await import_bills(installation.gateway_dsn, bills, PARTITIONS)) == (1, 1, 0, 0)
    assert await installation.value("SELECT count(*) FROM ledger_01.receivable") == 1
    moved = file_of(
        tmp_path,
        CUSTOMER_HEADER,
        customer_line(member),
        customer_line(member, single),
        customer_line(single, head),
        customer_line(member, head),
        customer_line("new", head),
        customer_line("new", single),
    )
    report = await import_customers(installation.gateway_dsn, moved, PARTITIONS)
    assert counts(report) == (6, 1, 1, 4)
    assert [error.line_no for error in report.errors] == [2, 3, 4, 7]
    assert {error.what for error in report.errors} == {
        "payment_no is not the one this customer is known under: it can't change"
    }
    assert await installation.count("customer") == 4


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "header is empty"), (b"name\n", "header lacks"), (None, "can't be")]
)
async def test_a_file_that_is_none(
    installation: Installation, tmp_path: Path, content: bytes | None, what: str
) -> None:
    path = tmp_path / "customers.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImportRefused, match=what):
        await import_customers(installation.gateway_dsn, path, PARTITIONS)


async def test_a_wrong_number_of_partitions_is_refused(installation: Installation, tmp_path: Path) -> None:
    path = file_of(tmp_path, CUSTOMER_HEADER, GOOD_CUSTOMER)
    with pytest.raises(InstallationMismatch):
        await import_customers(installation.gateway_dsn, path, PARTITIONS + 1)
    assert await installation.count("customer") == 0
