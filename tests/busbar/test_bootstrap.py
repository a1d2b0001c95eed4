"""The set-up of a checkout, on small checkouts of its own: real virtual environments, real pip, no network.

The small project brings its own build backend and its one package lies as a wheel in a folder, so pip runs with
PIP_NO_INDEX. apt is never run: what it would do is decided by the functions that these tests replace.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from busbar import bootstrap
from busbar.bootstrap import Checkout, SetupError

BACKEND = """
import zipfile
def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "busbar-1-py3-none-any.whl"
    info = "busbar-1.dist-info"
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as wheel:
        wheel.writestr("busbar_here.py", "def main(): print('here')")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: busbar\\nVersion: 1\\n")
        kind = "Root-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\\nGenerator: t\\n{kind}")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\nbusbar = busbar_here:main\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "busbar"
version = "1"
"""


def write_wheel(folder: Path) -> str:
    """A wheel of the package `small` in `folder`; its SHA-256."""
    path = folder / "small-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("small.py", "")
        wheel.writestr("small-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: small\nVersion: 1\n")
        wheel.writestr(
            "small-1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("small-1.dist-info/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    root, wheels = tmp_path / "check out", tmp_path / "wheels"  # a path with a blank, as people have them
    (root / "busbar").mkdir(parents=True)
    wheels.mkdir()
    (root / "requirements.lock").write_text(f"small==1 --hash=sha256:{write_wheel(wheels)}\n")
    (root / "pyproject.toml").write_text(PROJECT)
    (root / "backend.py").write_text(BACKEND)
    shutil.copy(bootstrap.__file__, root / "busbar" / "bootstrap.py")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels).replace(" ", "%20"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(bootstrap, "FONT", root / "pyproject.toml")
    return Checkout(root)


@pytest.fixture
def commands(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps taken ("venv", "pip"), with the real ones left out and their traces left behind."""
    taken: list[str] = []

    def pretend(target: Checkout, command: list[str], failure: str) -> None:
        assert target.interrupted.exists()
        taken.append(command[command.index("-m") + 1])
        (target.venv / "bin").mkdir(parents=True, exist_ok=True)
        if taken[-1] == "venv":
            version = ".".join(map(str, sys.version_info[:3]))
            base = bootstrap.base_python().resolve()
            (target.venv / "pyvenv.cfg").write_text(
                f"version = {version}\nexecutable = {base}\ncommand = {base} -m venv {target.venv}\n"
            )
            target.python.symlink_to(base)
        target.command.touch()

    monkeypatch.setattr(bootstrap, "_run", pretend)
    return taken


def run(checkout: Checkout) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "busbar/bootstrap.py"]
    return subprocess.run(
        command, cwd=checkout.root, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def test_a_checkout_is_set_up_and_then_left_alone(checkout: Checkout) -> None:
    first = run(checkout)
    assert first.returncode == 0, first.stderr
    assert subprocess.run([checkout.command], capture_output=True, text=True, check=True).stdout == "here\n"
    stamp = checkout.stamp.stat().st_mtime_ns
    second = run(checkout)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert checkout.stamp.stat().st_mtime_ns == stamp


def test_a_package_with_another_hash_is_refused_in_one_line(checkout: Checkout) -> None:
    (checkout.root / "requirements.lock").write_text(f"small==1 --hash=sha256:{'0' * 64}\n")
    done = run(checkout)
    assert done.returncode == 1
    assert done.stderr.startswith("setup: the packages can't be installed: ERROR: THESE PACKAGES DO NOT MATCH")
    assert done.stderr.count("\n") == 1
    assert not bootstrap.is_done(checkout)


def test_a_package_without_a_hash_is_refused(checkout: Checkout) -> None:
    (checkout.root / "requirements.lock").write_text("small==1\n")
    done = run(checkout)
    assert done.returncode == 1
    assert "--require-hashes" in done.stderr


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("nothing", []),
        ("lock", ["pip", "pip"]),
        ("project", ["pip", "pip"]),
        ("no command", ["pip", "pip"]),
        ("no stamp", ["pip", "pip"]),
        ("interrupted", ["venv", "pip", "pip"]),
        ("moved", ["venv", "pip", "pip"]),
        ("another Python", ["venv", "pip", "pip"]),
        ("Python gone", ["venv", "pip", "pip"]),
        ("no configuration", ["venv", "pip", "pip"]),
    ],
)
def test_what_a_change_makes_it_do(checkout: Checkout, commands: list[str], change: str, expected: list[str]) -> None:
    bootstrap.set_up(checkout)
    assert commands == ["venv", "pip", "pip"]
    commands.clear()
    checkout = harm(checkout, change)
    bootstrap.set_up(checkout)
    assert commands == expected
    assert bootstrap.is_done(checkout)


def harm(checkout: Checkout, change: str) -> Checkout:
    configuration = checkout.venv / "pyvenv.cfg"
    match change:
        case "lock":
            (checkout.root / "requirements.lock").write_text("# another\n")
        case "project":
            (checkout.root / "pyproject.toml").write_text("# another\n")
        case "no command":
            checkout.command.unlink()
        case "no stamp":
            checkout.stamp.unlink()
        case "interrupted":
            checkout.interrupted.touch()
        case "moved":
            return Checkout(checkout.root.rename(checkout.root.with_name("moved")))
        case "another Python":
            configuration.write_text(configuration.read_text().replace("version = 3", "version = 2"))
            checkout.stamp.write_text("of another Python")
        case "Python gone":
            checkout.python.unlink()
            checkout.python.symlink_to("/nowhere/python")
        case "no configuration":
            configuration.unlink()
            checkout.stamp.unlink()
    return checkout


def test_a_failure_half_way_builds_anew_the_next_time(
    checkout: Checkout, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend = bootstrap._run

    def fail(target: Checkout, command: list[str], failure: str) -> None:
        if "--editable" in command:
            raise KeyboardInterrupt
        pretend(target, command, failure)

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "_run", fail)
        assert bootstrap.main(checkout.root) == 1
    assert not bootstrap.is_done(checkout)
    commands.clear()
    assert bootstrap.main(checkout.root) == 0
    assert commands == ["venv", "pip", "pip"]


def test_a_link_in_the_place_of_the_environment_is_not_followed(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    checkout.venv.symlink_to(tmp_path / "precious")
    with pytest.raises(SetupError, match="is a link"):
        bootstrap.set_up(checkout)
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize(
    ("root", "installs", "expected"),
    [
        (False, False, "this Python has no venv; run: sudo apt-get update && sudo apt-get install --yes python3."),
        (True, False, "this Python has no venv; run: apt-get update && apt-get install --yes python3."),
        (True, True, None),
    ],
)
def test_a_python_without_venv(
    monkeypatch: pytest.MonkeyPatch, root: bool, installs: bool, expected: str | None
) -> None:
    installed: list[str] = []
    monkeypatch.setattr(bootstrap, "has_venv_module", lambda: installs and bool(installed))
    monkeypatch.setattr(bootstrap, "may_install", lambda: root)
    monkeypatch.setattr(bootstrap, "apt_install", installed.append)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    if expected is None:
        bootstrap.provide_venv_module()
    else:
        with pytest.raises(SetupError) as caught:
            bootstrap.provide_venv_module()
        assert str(caught.value).startswith(expected)
        assert str(caught.value).endswith("-venv")
    assert bool(installed) is root


@pytest.mark.parametrize("root", [True, False])
def test_a_machine_without_the_font_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: bool
) -> None:
    installed: list[str] = []
    monkeypatch.setattr(bootstrap, "FONT", tmp_path / "no-font")
    monkeypatch.setattr(bootstrap, "may_install", lambda: root)
    monkeypatch.setattr(bootstrap, "apt_install", installed.append)
    bootstrap.provide_font()
    assert installed == (["fonts-wqy-microhei"] if root else [])
    last = capsys.readouterr().out.splitlines()[-1]
    assert "apt-get install --yes fonts-wqy-microhei" in last


def test_apt_fetches_its_list_only_if_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def apt(command: list[str]) -> bool:
        ran.append(command[1])
        return "update" in ran

    monkeypatch.setattr(bootstrap, "_apt", apt)
    assert bootstrap.apt_install("x")
    assert ran == ["install", "update", "install"]
    assert bootstrap.apt_install("y")
    assert ran[3:] == ["install"]


def test_an_old_python_is_told_so(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    assert bootstrap.main(checkout.root) == 1
    assert capsys.readouterr().err.startswith("setup: Python 3.11 or later is needed, this is 3.9; run")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "Collecting x\nERROR: No matching distribution found for x\nmore",
            "ERROR: No matching distribution found for x",
        ),
        ("something\nwent wrong.\n\n", "went wrong"),
        ("", "no reason was given"),
    ],
)
def test_the_line_that_tells_best(said: str, expected: str) -> None:
    assert bootstrap.complaint(said) == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_checkout_that_cannot_be_written(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    checkout.root.chmod(0o500)
    try:
        assert bootstrap.main(checkout.root) == 1
    finally:
        checkout.root.chmod(0o700)
    assert "make it writable" in capsys.readouterr().err
