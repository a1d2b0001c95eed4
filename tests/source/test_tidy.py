"""The tree is tidy: the rules of the house that can be executed are executed.

Strategy: a check is a function of a path and its content that gives the violations it sees, each as "path:line: what".
One test runs every check over every file of the checkout (tracked, or new and not ignored); another plants a violation
for every check, so that none of them passes because it can't fail.

What ruff, mypy and the import contracts already rule (imports between rooms, annotations, style) is not repeated here.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("protocols", "gateway", "reconciliation", "busbar", "benchmarks")
ROOMS = (*PACKAGES, "fixtures", "tests", "gateway/ledger")

FILE_LINES_LIMIT = 400
FUNCTION_LINES_LIMIT = 70
DOCSTRING_FROM_LINES = 60

# The wall clock: a rule that depends on it can't be tested, so it comes in through gateway.clock.
CLOCK_CALLS = frozenset(
    f"datetime.{name}" for name in ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")
) | {"time.time", "time.time_ns", "time.localtime", "time.gmtime"}
MAY_READ_THE_CLOCK = ("gateway/clock.py", "busbar/", "benchmarks/", "tests/")
MAY_PRINT = ("busbar/", "benchmarks/")
NO_FLOATS = ("protocols/", "gateway/", "reconciliation/")  # money, and everything that stands beside money

# Written so that this file does not hold what it looks for.
FORBIDDEN_TEXT = {
    "the host of a package registry": r"pypi[.]org|pythonhosted[.]org|npmjs[.]org|pypi[.]tuna|/simple[/]",
    "a path of one machine": r"(?<![\w.])/(?:root|work|home/\w+|Users/\w+)/|/opt/(?:pypi|wheels)",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE[ ]KEY",
    "a file outside the project": r"\b(?:domain|design|components|style)[.]md\b|(?<![\w/])shared[/]",
}

Check = Callable[[str, str], Iterator[str]]


# --- checks on one Python file


def check_file_size(path: str, text: str) -> Iterator[str]:
    lines = text.count("\n")
    if lines > FILE_LINES_LIMIT and not path.startswith("tests/"):
        yield f"{path}:{lines}: a file may have {FILE_LINES_LIMIT} lines; take a part of it out"


def check_function_size(path: str, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_LIMIT:
                yield f"{path}:{node.lineno}: {node.name} has {lines} lines, {FUNCTION_LINES_LIMIT} are allowed"


def check_docstring(path: str, text: str) -> Iterator[str]:
    if text.count("\n") > DOCSTRING_FROM_LINES and not ast.get_docstring(ast.parse(text)):
        yield f"{path}:1: a file of more than {DOCSTRING_FROM_LINES} lines opens with its strategy and its rules"


def check_clock(path: str, text: str) -> Iterator[str]:
    if not path.startswith(MAY_READ_THE_CLOCK):
        yield from _banned_calls(path, text, CLOCK_CALLS, "ask gateway.clock for the time")


def check_print(path: str, text: str) -> Iterator[str]:
    if not path.startswith(MAY_PRINT):
        yield from _banned_calls(path, text, {"print"}, "log it, or return it to the front door")


def check_float(path: str, text: str) -> Iterator[str]:
    if path.startswith(NO_FLOATS):
        yield from _banned_calls(path, text, {"float"}, "money is an integer of fen, a rate is a Decimal or a fraction")


def check_except(path: str, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{path}:{node.lineno}: a bare except also swallows cancellation; name what you expect"


def _banned_calls(path: str, text: str, banned: frozenset[str] | set[str], instead: str) -> Iterator[str]:
    tree = ast.parse(text)
    names = _imported_names(tree)
    for node in ast.walk(tree):
        called = _dotted(node.func, names) if isinstance(node, ast.Call) else None
        if called in banned:
            yield f"{path}:{node.lineno}: {called}(): {instead}"


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """What a name of the file stands for: {"dt": "datetime.datetime"} after `from datetime import datetime as dt`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({item.asname: item.name for item in node.names if item.asname})
        elif isinstance(node, ast.ImportFrom):
            names.update({item.asname or item.name: f"{node.module}.{item.name}" for item in node.names})
    return names


def _dotted(node: ast.expr, names: Mapping[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value, names)
        return base and f"{base}.{node.attr}"
    return None


# --- checks on one file of any kind


def check_text(path: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in FORBIDDEN_TEXT.items():
            if re.search(pattern, line):
                yield f"{path}:{number}: {what} may not stand in the project"


PYTHON_CHECKS: tuple[Check, ...] = (
    check_file_size,
    check_function_size,
    check_docstring,
    check_clock,
    check_print,
    check_float,
    check_except,
)


# --- checks on the tree


def missing_readmes(root: Path) -> list[str]:
    return [f"{room}/README.md" for room in ROOMS if not (root / room / "README.md").is_file()]


def import_cycle(imports: Mapping[str, set[str]]) -> list[str]:
    """One cycle in `imports` (module to what it imports), or nothing."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def lock_faults(project: str, lock: str) -> Iterator[str]:
    """What the lock lacks: a direct dependency, an exact version, a hash; or an address that it has."""
    pins = [entry for entry in re.split(r"\n(?=\S)", lock) if entry.strip() and not entry.startswith("#")]
    names = set()
    for pin in pins:
        found = re.match(r"([a-z0-9-]+)==[\w.+!]+ (?:; [^\\\n]+ )?\\\n\s+--hash=sha256:[0-9a-f]{64}", pin)
        if found is None:
            yield f"requirements.lock: {pin.splitlines()[0]!r} is not a version with hashes"
        else:
            names.add(found.group(1))
    table = tomllib.loads(project)["project"]
    wanted = [*table["dependencies"], *table["optional-dependencies"]["dev"]]
    for requirement in wanted:
        name = re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")
        if name not in names:
            yield f"requirements.lock: {name} of pyproject.toml is missing; run `make lock`"


# --- the tree as it is


def _paths() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return sorted({path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()})
    # Not a git checkout (an archive of the source), or one of another account.
    hidden = {".git", ".venv", "var", "__pycache__", "build", "dist"}
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if not hidden & set(path.parts) and "_cache" not in str(path))


def _text(path: str) -> str:
    """The content for a search: Latin-1 reads every byte, also of GBK and binary fixtures."""
    return (ROOT / path).read_bytes().decode("latin-1")


PATHS = _paths()
PYTHON_PATHS = [path for path in PATHS if path.endswith(".py")]


def test_the_checks_see_the_tree() -> None:
    assert "tests/source/test_tidy.py" in PYTHON_PATHS
    assert len(PATHS) > len(PYTHON_PATHS) > 30


@pytest.mark.parametrize("check", PYTHON_CHECKS, ids=lambda check: check.__name__)
def test_python_files(check: Check) -> None:
    sources = ((path, (ROOT / path).read_text(encoding="utf-8")) for path in PYTHON_PATHS)
    assert [fault for path, text in sources for fault in check(path, text)] == []


def test_nothing_of_a_machine_and_no_secret() -> None:
    assert [fault for path in PATHS for fault in check_text(path, _text(path))] == []


def test_sql_files_are_of_a_readable_size() -> None:
    sql = [path for path in PATHS if path.endswith(".sql")]
    assert [fault for path in sql for fault in check_file_size(path, _text(path))] == []


def test_every_room_tells_what_it_is() -> None:
    assert missing_readmes(ROOT) == []


def test_no_import_cycle() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    assert len(imports) > 30
    assert import_cycle(imports) == []


def test_the_lock_pins_every_dependency() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert list(lock_faults(project, (ROOT / "requirements.lock").read_text(encoding="utf-8"))) == []


# --- each check can fail


def _function(lines: int) -> str:
    return "def f():\n" + "    x = 1\n" * (lines - 1)


PRIVATE_KEY_LINE = "-----BEGIN EC PRIVATE" + " KEY-----"
PLANTED: list[tuple[Check, str, str, int]] = [
    (check_file_size, "gateway/a.py", "x = 1\n" * 401, 1),
    (check_file_size, "gateway/a.py", "x = 1\n" * 400, 0),
    (check_file_size, "tests/a.py", "x = 1\n" * 401, 0),
    (check_function_size, "tests/a.py", _function(71), 1),
    (check_function_size, "tests/a.py", _function(70), 0),
    (check_function_size, "gateway/a.py", "class A:\n    async def f(self):\n" + "        x = 1\n" * 70, 1),
    (check_docstring, "tests/a.py", "x = 1\n" * 61, 1),
    (check_docstring, "tests/a.py", '"""Why."""\n' + "x = 1\n" * 61, 0),
    (check_docstring, "tests/a.py", "x = 1\n" * 60, 0),
    (check_clock, "gateway/a.py", "import datetime\ndatetime.datetime.now(tz)", 1),
    (check_clock, "gateway/a.py", "from datetime import datetime\ndatetime.now(tz)", 1),
    (check_clock, "gateway/a.py", "from datetime import datetime as dt, date\ndt.utcnow()\ndate.today()", 2),
    (check_clock, "protocols/a.py", "from time import time as t\nt()", 1),
    (check_clock, "reconciliation/a.py", "import time as clock\nclock.time_ns()", 1),
    (check_clock, "gateway/a.py", "self.clock.now()\nclock.today()", 0),
    (check_clock, "gateway/clock.py", "import time\ntime.time()", 0),
    (check_print, "gateway/a.py", "print(1)", 1),
    (check_print, "tests/a.py", "def f():\n    print(1)", 1),
    (check_print, "busbar/a.py", "print(1)", 0),
    (check_print, "gateway/a.py", "console.print(1)", 0),
    (check_float, "gateway/a.py", "x = float(amount)", 1),
    (check_float, "gateway/a.py", "def f(timeout_seconds: float) -> None: ...", 0),
    (check_float, "busbar/a.py", "x = float(amount)", 0),
    (check_except, "gateway/a.py", "try:\n    f()\nexcept:\n    pass", 1),
    (check_except, "gateway/a.py", "try:\n    f()\nexcept OSError:\n    pass", 0),
    (check_text, "requirements.lock", "--index-url https://" + "pypi" + ".org/simple", 1),
    (check_text, "docs/a.md", "see /ro" + "ot/notes", 1),
    (check_text, "docs/a.md", "see /ho" + "me/wang/notes", 1),
    (check_text, "docs/a.md", "see the sha" + "red/notes", 1),
    (check_text, "docs/a.md", "docs/work/orders, /var/lib/busbar", 0),
    (check_text, "fixtures/key.pem", f"\n{PRIVATE_KEY_LINE}\n", 1),
]


@pytest.mark.parametrize(("check", "path", "text", "faults"), PLANTED)
def test_a_planted_violation_is_seen(check: Check, path: str, text: str, faults: int) -> None:
    seen = list(check(path, text))
    assert len(seen) == faults, seen
    assert all(fault.startswith(f"{path}:") for fault in seen)


def test_every_check_has_a_planted_violation() -> None:
    planted = {check for check, _, _, faults in PLANTED if faults}
    assert planted == {*PYTHON_CHECKS, check_text}


@pytest.mark.parametrize("room", ROOMS)
def test_a_missing_readme_is_seen(tmp_path: Path, room: str) -> None:
    for other in ROOMS:
        (tmp_path / other).mkdir(exist_ok=True)
        (tmp_path / other / "README.md").touch()
    assert missing_readmes(tmp_path) == []
    (tmp_path / room / "README.md").unlink()
    assert missing_readmes(tmp_path) == [f"{room}/README.md"]


@pytest.mark.parametrize(
    ("imports", "cyclic"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, False),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}}, True),
        ({"a": {"a"}}, True),
    ],
)
def test_an_import_cycle_is_seen(imports: dict[str, set[str]], cyclic: bool) -> None:
    assert bool(import_cycle(imports)) is cyclic


PROJECT = '[project]\ndependencies = ["Ibis_framework[duckdb]>=12"]\n[project.optional-dependencies]\ndev = ["ruff"]\n'
HASH = f" \\\n    --hash=sha256:{'a' * 64}"
GOOD_LOCK = f"ibis-framework==12.0.0{HASH}\nruff==1 ; sys_platform == 'linux'{HASH} \\\n    --hash=sha256:{'b' * 64}\n"


@pytest.mark.parametrize(
    ("lock", "fault"),
    [
        (GOOD_LOCK, None),
        ("# how it was made\n" + GOOD_LOCK, None),
        (GOOD_LOCK.replace("ruff==1", "other==1"), "ruff of pyproject.toml is missing"),
        (GOOD_LOCK.replace("==12.0.0", ">=12.0.0"), "not a version with hashes"),
        (GOOD_LOCK + "\nbusbar==1\n", "not a version with hashes"),
        ("--extra-index-url file:///wheels\n" + GOOD_LOCK, "not a version with hashes"),
        (GOOD_LOCK + "\nx @ file:///wheels/x.whl\n", "not a version with hashes"),
    ],
)
def test_a_fault_of_the_lock_is_seen(lock: str, fault: str | None) -> None:
    seen = list(lock_faults(PROJECT, lock))
    assert bool(seen) is (fault is not None)
    assert fault is None or fault in seen[0]
