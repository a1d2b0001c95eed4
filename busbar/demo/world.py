"""Everything the demo needs on disk: a fresh installation, its people and bills, and two banks with keys and payers.

Strategy: the installation is the sample one, made new; the banks' own files hold their halves of the keys, which the
demo copies because it plays both sides. Each bank gets payers of its own, so that what a bank meets is its own doing.
"""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from busbar.demo.population import PAPER_COLUMNS, Population

BANKS = ("GZB", "YYB")


@dataclass(frozen=True, slots=True)
class World:
    """The demo's folders and files, all below `root`."""

    root: Path

    @property
    def installation(self) -> Path:
        return self.root / "installation"

    @property
    def population(self) -> Path:
        return self.root / "population"

    @property
    def log(self) -> Path:
        return self.root / "demo.log"

    def setup(self, bank: str) -> Path:
        return self.root / "banks" / f"{bank.lower()}.toml"

    def inbox(self, bank: str) -> Path:
        return self.installation / "inbox" / bank


def clean(root: Path) -> World:
    """An empty world; the last demo's files are removed, its database too."""
    from busbar.postgresql import remove_data

    remove_data(World(root).installation / "var" / "postgresql")
    if root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True)
    return World(root)


def share_payers(world: World, population: Population) -> None:
    """Deal the paper bills to the banks by customer, one to the first, one to the second."""
    files = {bank: world.setup(bank).with_suffix(".csv") for bank in BANKS}
    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    with population.paper_file.open(encoding="utf-8", newline="") as lines:
        rows: dict[str, list[dict[str, str]]] = {}
        for row in csv.DictReader(lines):
            rows.setdefault(row["customer_no"], []).append(row)
    for index, bank in enumerate(BANKS):
        with files[bank].open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, PAPER_COLUMNS, lineterminator="\n")
            writer.writeheader()
            for bills in list(rows.values())[index :: len(BANKS)]:
                writer.writerows(bills)


def write_setups(world: World, addresses: dict[str, str], *, seed: int, workers: int, first_day: date) -> None:
    """The banks' own configuration, once it is known where the gateway listens."""
    keys = world.installation / "keys"
    for name in ("gzb-mac.mac", "gzb-file.key.pem", "yyb-2026.key.pem", "utility-2026.pub.pem"):
        shutil.copy(keys / name, world.setup(BANKS[0]).parent / name)
    common = f'seed = {seed}\nworkers = {workers}\ntime_zone = "Asia/Shanghai"\ncharset = "GBK"\n'
    _write(
        world,
        "GZB",
        f"# A simulated bank, from {first_day} on.\n"
        f'code = "GZB"\nwire = "iso8583-guangzhou"\naddress = "{addresses["iso8583 GZB"]}"\n{common}'
        'institution = "315810"\nmac_key_file = "gzb-mac.mac"\n'
        'settlement_layout = "bil"\nbank_in_file = "315810"\namounts = "fen"\n'
        'file_key_id = "gzb-file"\nfile_private_key_file = "gzb-file.key.pem"\n',
    )
    _write(
        world,
        "YYB",
        f"# A simulated bank, from {first_day} on.\n"
        f'code = "YYB"\nwire = "bankxml"\naddress = "{addresses["http"]}"\n{common}'
        'sender = "YYB"\nkey_id = "yyb-2026"\nprivate_key_file = "yyb-2026.key.pem"\n'
        'utility_public_key_file = "utility-2026.pub.pem"\n'
        'settlement_layout = "pipe"\nbank_in_file = "301581000230"\namounts = "yuan"\n'
        'file_key_id = "yyb-2026"\nfile_private_key_file = "yyb-2026.key.pem"\n',
    )


def _write(world: World, bank: str, text: str) -> None:
    files = f'book_file = "{bank.lower()}.book.sqlite"\npaper_bills_file = "{bank.lower()}.csv"\n'
    world.setup(bank).write_text(text + files, encoding="utf-8")
