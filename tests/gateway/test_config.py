"""Every kind of mistake in an installation is named with its file, its line and what to do, all in one go."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ConfigError, Installation, load, secret
from gateway.config_lines import Lines, dotted
from gateway.keyring import new_mac_key, new_rsa_key
from gateway.ledger.rules import CrossYearMode, Rounding

SAMPLE = Path(__file__).resolve().parents[2] / "fixtures" / "installation"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "installation"
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("keys", "var"))
    new_mac_key(folder / "keys", "gzb-mac")
    new_mac_key(folder / "keys", "short-mac", 8)
    for key_id in ("utility-2026", "yyb-2026", "gzb-file"):
        new_rsa_key(folder / "keys", key_id)
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    target = tmp_path / "installation"
    shutil.copytree(pristine, target)
    return target


def mistakes_of(folder: Path) -> list[tuple[str, int, str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(folder)
    return [(mistake.file, mistake.line, mistake.where, mistake.what) for mistake in caught.value.mistakes]


def line_of(path: Path, text: str) -> int:
    """The line of the only occurrence of `text`."""
    lines = [number for number, line in enumerate(path.read_text("utf-8").splitlines(), 1) if text in line]
    assert len(lines) == 1, lines
    return lines[0]


def test_the_sample_is_right(folder: Path) -> None:
    installation = load(folder)
    assert [bank.code for bank in installation.banks] == ["GZB", "YYB"]
    assert installation.partitions == 4
    assert installation.rules.sign_on_required == {"GZB"}
    assert installation.rules.cross_year_mode is CrossYearMode.BY_DAY
    assert installation.rules.rounding is Rounding.HALF_UP
    assert installation.inbox_folder("GZB") == folder / "inbox" / "GZB"
    assert installation.bank("YYB").wire.protocol == "bankxml"
    with pytest.raises(KeyError, match="GZB, YYB"):
        installation.bank("NONE")


def test_a_second_bank_is_only_a_file(folder: Path) -> None:
    text = (folder / "banks/YYB.toml").read_text("utf-8")
    text = text.replace('"YYB"', '"NEW"').replace("301581000230", "999")
    (folder / "banks/NEW.toml").write_text(text, "utf-8")
    assert [bank.code for bank in load(folder).banks] == ["GZB", "NEW", "YYB"]


# file, text in it, what replaces it, the text whose line is named (None: the replacement's), where, part of what.
ONE_MISTAKE = [
    ("busbar.toml", 'name = "示范供电公司"', 'nam = "x"', None, "utility.nam", "did you mean name?"),
    ("busbar.toml", 'name = "示范供电公司"', 'nam = "x"', "[utility]", "utility.name", "is missing"),
    ("busbar.toml", 'dsn = "embedded"', 'dsn = "mysql://x"', None, "database.dsn", 'neither "embedded" nor'),
    (
        "busbar.toml",
        'dsn = "embedded"',
        'dsn = "postgresql://busbar:verysecret@h/busbar"',
        None,
        "database.dsn",
        "password may not stand here",
    ),
    (
        "busbar.toml",
        'night_password = "file:var/passwords/night"',
        'night_password = "plain"',
        None,
        "database.night_password",
        "is referred to",
    ),
    ("busbar.toml", "partitions = 4", "partitions = 0", None, "ledger.partitions", "greater than or equal to 1"),
    ("busbar.toml", "partitions = 4", 'partitions = "four"', None, "ledger.partitions", "valid integer"),
    ("busbar.toml", 'listen = "127.0.0.1:0"', 'listen = "8480"', None, "http.listen", "host:port"),
    ("busbar.toml", '# sign_key = "utility-2026"', 'sign_key = "nobody"', None, "http.sign_key", "keys new rsa nobody"),
    ("busbar.toml", "minimum_fen = 100", "minimum_fen = -1", None, "penalty.minimum[0].minimum_fen", "greater than"),
    ("busbar.toml", 'rounding = "half_up"', 'rounding = "up"', None, "penalty.rounding", "half_up"),
    (
        "busbar.toml",
        "minimum_fen = 100",
        "minimum_fen = 100\n[[penalty.minimum]]\nfrom_date = 2020-01-01\nminimum_fen = 5",
        "from_date = 2020-01-01",
        "penalty.minimum[1].from_date",
        "set that row's to_date",
    ),
    (
        "busbar.toml",
        "[[penalty.minimum]]",
        "[[penalty.rates]]\nfrom_date = 1990-01-01\n[[penalty.minimum]]",
        "from_date = 1990-01-01",
        "penalty.rates[1].from_date",
        "put the rows in order",
    ),
    (
        "busbar.toml",
        "minimum_fen = 100",
        "minimum_fen = 100\nto_date = 1990-01-01",
        "[[penalty.minimum]]",
        "penalty.minimum[0]",
        "to_date is before from_date",
    ),
    ("busbar.toml", 'time_zone = "Asia/Shanghai"', 'time_zone = "China"', None, "utility.time_zone", "tz database"),
    ("busbar.toml", "enabled = true", "enabled = ", None, "file", "invalid value"),
    ("busbar.toml", 'inbox = "inbox"', 'inbox = "busbar.toml"', None, "night.inbox", "a folder is needed"),
    ("banks/GZB.toml", 'mac_key = "gzb-mac"', 'mac_key = "gone"', None, "wire.mac_key", "busbar keys new mac gone"),
    (
        "banks/GZB.toml",
        'mac_key = "gzb-mac"',
        'mac_key = "short-mac"',
        None,
        "wire.mac_key",
        "16 bytes, short-mac has 8",
    ),
    ("banks/GZB.toml", 'mac_algorithm = "X9.19"', 'mac_algorithm = "MD5"', None, "wire.mac_algorithm", "X9.9"),
    ("banks/GZB.toml", 'protocol = "iso8583-guangzhou"', 'protocol = "x"', "[wire]", "wire", 'or "bankxml"'),
    ("banks/GZB.toml", 'protocol = "iso8583-guangzhou"', "", "[wire]", "wire", "needs a line protocol"),
    ("banks/GZB.toml", 'institution = "315810"', "", "[wire]", "wire.institution", "is missing"),
    (
        "banks/GZB.toml",
        "allowed_addresses = []",
        'allowed_addresses = ["x.y"]',
        None,
        "allowed_addresses[0]",
        "network",
    ),
    ("banks/YYB.toml", 'code = "YYB"', 'code = "GZB"', None, "code", "that of banks/GZB.toml:5"),
    (
        "banks/YYB.toml",
        'bank_in_file = "301581000230"',
        'bank_in_file = "yy-b"',
        None,
        "settlement.bank_in_file",
        "not allowed",
    ),
    (
        "banks/YYB.toml",
        'verify_keys = ["yyb-2026"]',
        'verify_keys = ["a b"]',
        None,
        "wire.verify_keys[0]",
        "not allowed",
    ),
    ("banks/YYB.toml", 'sign_key = "utility-2026"', 'sign_key = "lost"', None, "wire.sign_key", "keys/lost.key.pem"),
    (
        "banks/YYB.toml",
        'verify_key = "yyb-2026"',
        'verify_key = "lost"',
        None,
        "settlement.verify_key",
        "keys/lost.pub.pem",
    ),
    (
        "banks/YYB.toml",
        "answer_deadline_seconds = 20",
        "answer_deadline_seconds = 0",
        None,
        "answer_deadline_seconds",
        "",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "at", "where", "what"), ONE_MISTAKE)
def test_a_mistake_is_named_with_its_line(
    folder: Path, file: str, old: str, new: str, at: str | None, where: str, what: str
) -> None:
    path = folder / file
    text = path.read_text("utf-8")
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1), "utf-8")
    expected_line = line_of(path, at or new)
    found = [mistake for mistake in mistakes_of(folder) if mistake[2] == where]
    assert len(found) == 1, mistakes_of(folder)
    assert found[0][:2] == (file, expected_line)
    assert what in found[0][3]
    assert "verysecret" not in str(found)


# What two banks may not share: the line to give YYB's copy, its own wire kept.
SHARED = [
    ("GZB", 'listen = "127.0.0.1:0"', 'listen = "127.0.0.1:8583"', "wire.listen"),
    ("GZB", 'institution = "315810"', 'institution = "315810"', "wire.institution"),
    ("GZB", 'bank_in_file = "315810"', 'bank_in_file = "315810"', "settlement.bank_in_file"),
    ("YYB", 'sender = "YYB"', 'sender = "YYB"', "wire.sender"),
    ("YYB", 'code = "YYB"', 'code = "YYB"', "code"),
]


@pytest.mark.parametrize(("bank", "old", "new", "where"), SHARED)
def test_what_two_banks_may_not_share(folder: Path, bank: str, old: str, new: str, where: str) -> None:
    first, second = folder / f"banks/{bank}.toml", folder / "banks/ZZZ.toml"
    first.write_text(first.read_text("utf-8").replace(old, new, 1), "utf-8")
    shutil.copy(first, second)
    found = [mistake for mistake in mistakes_of(folder) if mistake[2] == where]
    assert [mistake[:2] for mistake in found] == [("banks/ZZZ.toml", line_of(second, new))]
    assert f"banks/{bank}.toml:{found[0][1]}" in found[0][3]  # the same line, since it is a copy


def test_all_mistakes_come_at_once_in_order(folder: Path) -> None:
    for file, old, new in (
        ("busbar.toml", "partitions = 4", "partitions = 1000"),
        ("busbar.toml", "body_limit_bytes = 65536", "body_limit_bytes = 5"),
        ("banks/GZB.toml", 'mac_key = "gzb-mac"', 'mac_key = "gone"'),
        ("banks/YYB.toml", 'sign_key = "utility-2026"', 'sign_key = "gone"'),
    ):
        path = folder / file
        path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
    (folder / "banks/BAD.toml").write_text("code = \n", "utf-8")
    found = mistakes_of(folder)
    assert [mistake[0] for mistake in found] == [
        "banks/BAD.toml",
        "banks/GZB.toml",
        "banks/YYB.toml",
        "busbar.toml",
        "busbar.toml",
    ]
    with pytest.raises(ConfigError) as caught:
        load(folder)
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("banks/BAD.toml:1: file: invalid value")


BROKEN_FOLDERS: list[tuple[Callable[[Path], object], tuple[str, int], str]] = [
    (lambda folder: (folder / "busbar.toml").unlink(), ("busbar.toml", 1), "no such file"),
    (lambda folder: (folder / "busbar.toml").write_bytes(b"\xd2\xf8"), ("busbar.toml", 1), "not UTF-8"),
    (lambda folder: (folder / "busbar.toml").write_bytes(b"#" * 2_000_000), ("busbar.toml", 1), "longer than"),
    (lambda folder: shutil.rmtree(folder / "banks"), ("banks/", 1), "there is no bank"),
    (lambda folder: (folder / "keys/gzb-mac.mac").chmod(0o644), ("banks/GZB.toml", 30), "chmod 600"),
]


@pytest.mark.parametrize(("damage", "at", "what"), BROKEN_FOLDERS)
def test_broken_folders(folder: Path, damage: Callable[[Path], object], at: tuple[str, int], what: str) -> None:
    damage(folder)
    found = mistakes_of(folder)
    assert [mistake[:2] for mistake in found] == [at]
    assert what in found[0][3]


def test_secrets_are_referred_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text("from-file\n", "utf-8")
    file.chmod(0o600)
    monkeypatch.setenv("BUSBAR_TEST_SECRET", "from-environment")
    assert secret("file:password", tmp_path) == "from-file"
    assert secret("env:BUSBAR_TEST_SECRET", tmp_path) == "from-environment"
    file.chmod(0o640)
    for reference, what in (
        ("file:password", "chmod 600"),
        ("file:none", "can't be read"),
        ("env:NOT_SET_X", "not set"),
    ):
        with pytest.raises(ValueError, match=what):
            secret(reference, tmp_path)


TOML = '''\
# a comment = with [brackets]
top = 1
text = """
[not.a.table]
key = 2
"""
a.b.c = "x # y"

[one]
list = [
  "a]", # ] comment
  { x = 1, y = [1, 2] },
  3,
]
[[one.rows]]
k = 1
[[one.rows]]
k = 2
  [one.rows.inner]
  z = 'q"['
[[one.rows.deep]]
w = 1
'''

LINES = [
    (("top",), 2),
    (("text",), 3),
    (("a", "b", "c"), 7),
    (("one",), 9),
    (("one", "list"), 10),
    (("one", "list", 0), 11),
    (("one", "list", 1), 12),
    (("one", "list", 1, "y"), 12),
    (("one", "list", 2), 13),
    (("one", "rows", 0), 15),
    (("one", "rows", 0, "k"), 16),
    (("one", "rows", 1, "k"), 18),
    (("one", "rows", 1, "inner", "z"), 20),
    (("one", "rows", 1, "deep", 0, "w"), 22),
    (("one", "rows", 1, "missing"), 17),
    (("nowhere",), 1),
]


@pytest.mark.parametrize(("path", "line"), LINES)
def test_lines(path: tuple[str | int, ...], line: int) -> None:
    assert Lines(TOML).of(path) == line


def test_dotted() -> None:
    assert dotted(("penalty", "rates", 1, "from_date")) == "penalty.rates[1].from_date"


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(['"#["', "[1,\n2]", "'''\nx = 1\n'''", "{q = 1}"])))
)
def test_lines_of_generated_files(pairs: list[tuple[str, str]]) -> None:
    """Whatever the values look like, each table's key is on the line where it was written."""
    text, expected, line = "", [], 1
    for number, (name, value) in enumerate(pairs):
        text += f"[[rows]]\n{name} = {value}\n"
        expected.append((("rows", number, name), line + 1))
        line += 2 + value.count("\n")
    lines = Lines(text)
    assert [lines.of(path) for path, _ in expected] == [at for _, at in expected]


def test_an_installation_is_frozen_and_hides_its_keys(folder: Path) -> None:
    installation: Installation = load(folder)
    assert "keyring" not in repr(installation)
    with pytest.raises(AttributeError):
        installation.folder = Path("/")  # type: ignore[misc]
