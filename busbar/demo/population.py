"""A made-up supply area: customers with Chinese names and addresses, and their bills of several ages.

Strategy: one seeded generator; the same seed and business date give the same people and bills, byte for byte. Bills
reach back to earlier years, so that every age column of the receipts report and every penalty rate is met. Three
files come out: what the billing system would send (`customers.csv`, `bills.csv`) and what lies on the payers' kitchen
tables (`paper_bills.csv`: the number, the month and the amount as printed when the bill was issued).
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢"
GIVEN = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂文辉玲建国华志红春梅海燕鹏飞雪晨浩宇欣怡梓涵子轩雨泽嘉俊"
COMPANIES = ("五金制品厂", "纺织有限公司", "水产批发部", "电子科技有限公司", "食品加工厂", "农机合作社", "商贸有限公司")
TOWNS = ("榕树", "沙湾", "桥头", "石基", "莲塘", "东圃", "南岗", "新塘")
ROADS = ("建设路", "电力路", "解放路", "文明街", "沿江路", "工业大道", "学府路", "人民路")
ORG_CODES = ("06000101", "06000102", "06000201", "06000202")
# Months back from the business month, with weights: most bills are of this month, a tail is years old.
AGES_MONTHS = (0, 1, 2, 3, 5, 8, 11, 14, 20, 26)
AGE_WEIGHTS = (40, 22, 10, 8, 6, 5, 4, 3, 1, 1)
CUSTOMER_COLUMNS = (
    "customer_no",
    "payment_no",
    "name",
    "supply_address",
    "org_code",
    "customer_class",
    "usage_category",
    "penalty_exempt",
)
BILL_COLUMNS = (
    "receivable_id",
    "customer_no",
    "billing_month",
    "charge_kind",
    "org_code",
    "principal_fen",
    "due_date",
    "partial_payment_allowed",
    "locked",
)
PAPER_COLUMNS = (
    "customer_no",
    "receivable_id",
    "billing_month",
    "principal_fen",
    "due_date",
    "partial_payment_allowed",
)


@dataclass(frozen=True, slots=True)
class Population:
    """Where the three files lie, and how many rows they hold."""

    customers_file: Path
    bills_file: Path
    paper_file: Path
    customer_count: int
    bill_count: int


def generate(
    folder: Path, *, customers: int, business_date: date, seed: int, progress: Callable[[int], None] = lambda _: None
) -> Population:
    """Write the three files into `folder` (UTF-8 CSV with a header line); `progress` gets customers done."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible world, no secret
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("customers.csv", "bills.csv", "paper_bills.csv")]
    bill_count = 0
    with (
        paths[0].open("w", encoding="utf-8", newline="") as customers_out,
        paths[1].open("w", encoding="utf-8", newline="") as bills_out,
        paths[2].open("w", encoding="utf-8", newline="") as paper_out,
    ):
        writers = [csv.writer(out, lineterminator="\n") for out in (customers_out, bills_out, paper_out)]
        for writer, columns in zip(writers, (CUSTOMER_COLUMNS, BILL_COLUMNS, PAPER_COLUMNS), strict=True):
            writer.writerow(columns)
        for index in range(customers):
            customer = _customer(chance, index)
            writers[0].writerow(customer)
            for bill in _bills(chance, customer, business_date):
                writers[1].writerow(bill)
                writers[2].writerow((bill[1], bill[0], bill[2], bill[5], bill[6], bill[7]))
                bill_count += 1
            if index % 250 == 249:
                progress(index + 1)
    progress(customers)
    return Population(paths[0], paths[1], paths[2], customers, bill_count)


def _customer(chance: random.Random, index: int) -> tuple[str, ...]:
    number = f"06{index:08d}{_check_digit(index)}0"
    kind = chance.choices(("03", "02", "01"), weights=(88, 10, 2))[0]
    if kind == "03":
        name = chance.choice(SURNAMES) + "".join(chance.choices(GIVEN, k=chance.choice((1, 2, 2))))
        usage = chance.choice(("201", "202", "202"))
    else:
        name = chance.choice(TOWNS) + "镇" + chance.choice(SURNAMES) + "记" + chance.choice(COMPANIES)
        usage = "100" if kind == "01" else chance.choice(("401", "402", "403", "405", "300"))
    house = f"{chance.choice(TOWNS)}镇{chance.choice(ROADS)}{chance.randint(1, 399)}号"
    address = house + (f"{chance.randint(1, 9)}栋{chance.randint(101, 2804)}房" if kind == "03" else "")
    exempt = "true" if chance.random() < 0.01 else "false"
    return (number, number, name, address, ORG_CODES[index % len(ORG_CODES)], kind, usage, exempt)


def _check_digit(index: int) -> int:
    return sum(int(digit) * weight for digit, weight in zip(f"{index:08d}", (3, 7, 1) * 3, strict=False)) % 10


def _bills(chance: random.Random, customer: tuple[str, ...], business_date: date) -> Iterator[tuple[str | int, ...]]:
    number, org_code, kind = customer[0], customer[4], customer[5]
    how_many = chance.choices((1, 2, 3), weights=(70, 22, 8))[0]
    ages = sorted({chance.choices(AGES_MONTHS, AGE_WEIGHTS)[0] for _ in range(how_many)}, reverse=True)
    for age in ages:
        month_start = _months_back(business_date, age)
        top_fen = {"03": 60_000, "02": 900_000, "01": 9_000_000}[kind]
        principal_fen = chance.randint(150, top_fen)
        month = f"{month_start:%Y%m}"
        due_date = _months_back(month_start, -1) + timedelta(days=chance.choice((14, 19, 24)))
        partial = "true" if chance.random() < 0.1 else "false"
        locked = "true" if age == 0 and chance.random() < 0.01 else "false"
        yield (
            f"R{number[2:10]}{month[2:]}0",
            number,
            month,
            "010",
            org_code,
            principal_fen,
            due_date.isoformat(),
            partial,
            locked,
        )


def _months_back(day: date, months: int) -> date:
    """The first day of the month `months` before `day`'s."""
    ordinal = day.year * 12 + day.month - 1 - months
    return date(ordinal // 12, ordinal % 12 + 1, 1)
