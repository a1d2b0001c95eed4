"""Set up a checkout: `.venv` with everything in it, the Chinese font, and nothing when nothing changed.

Run by the system's Python (3.11 or later) through `make setup`; it can use the standard library alone.

Strategy: the digest of what decides the outcome (lock, project file, this file, the Python, the checkout's path) is
kept in `.venv/setup-stamp`. If it is still right, there is nothing to do. If not, packages are installed into the
`.venv` that is there, wheels only and each by its hash, with pip's ordinary configuration; then the project itself.
A `.venv` is built anew if it is not this Python's, not made at this path, or was left by a set-up that was interrupted:
a marker stands beside it for as long as it is being changed.

What the system must give is installed where that is allowed (as root, with apt); otherwise one line names the command.
Without `venv` nothing works, so that ends the set-up; without the font only the PDF reports are missing.
Every failure is one line with what to do, and exit code 1; pip's own words are in var/setup.log.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

LOWEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
FONT_PACKAGE = "fonts-wqy-microhei"
STAMPED_FILES = ("requirements.lock", "pyproject.toml", "busbar/bootstrap.py")


class SetupError(Exception):
    """The set-up can't go on; the text is one line with what to do."""


class Checkout:
    """The places of one checkout that the set-up reads and writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"
        self.command = self.venv / "bin" / "busbar"
        self.stamp = self.venv / "setup-stamp"
        self.interrupted = root / "var" / "setup-interrupted"
        self.lock = root / "var" / "setup.lock"
        self.log = root / "var" / "setup.log"


def main(root: Path = ROOT) -> int:
    """Set `root` up; the exit code of the process."""
    if sys.version_info < LOWEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:2]))
        return _failed(f"Python 3.11 or later is needed, this is {found}; run make PYTHON=python3.11 (or later)")
    try:
        set_up(Checkout(root))
    except SetupError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.strerror}: {error.filename}; make it writable, or use a checkout of your own")
    except KeyboardInterrupt:
        return _failed("interrupted; run make setup again")
    return 0


def _failed(why: str) -> int:
    sys.stderr.write(f"setup: {why}\n")
    return 1


def _say(what: str) -> None:
    sys.stdout.write(f"setup: {what}\n")
    sys.stdout.flush()


def set_up(checkout: Checkout) -> None:
    """Do what is needed, if anything is; two at the same time wait for each other."""
    if is_done(checkout):
        return
    checkout.lock.parent.mkdir(exist_ok=True)
    with checkout.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_done(checkout):
            return
        provide_venv_module()
        _install(checkout)
    provide_font()
    _say("done")


def _install(checkout: Checkout) -> None:
    fits = fits_this_python(checkout)
    checkout.log.unlink(missing_ok=True)
    checkout.stamp.unlink(missing_ok=True)
    _say("installing the packages into .venv (the first time takes about a minute)")
    checkout.interrupted.touch()
    if not fits:
        _build_venv(checkout)
    _pip(checkout, "--require-hashes", "--only-binary", ":all:", "--requirement", "requirements.lock")
    # By its name alone it would be asked for at an index; --no-index makes sure that only the lock is used.
    _pip(checkout, "--no-deps", "--no-build-isolation", "--no-index", "--editable", ".")
    checkout.stamp.write_text(digest(checkout.root), encoding="ascii")
    checkout.interrupted.unlink()


def is_done(checkout: Checkout) -> bool:
    """Whether `.venv` is what the last complete set-up made, and what that would make now."""
    if checkout.interrupted.exists() or not checkout.python.exists() or not checkout.command.exists():
        return False
    try:
        return checkout.stamp.read_text(encoding="ascii") == digest(checkout.root)
    except OSError:
        return False


def digest(root: Path) -> str:
    """What decides how `.venv` must look, as one hexadecimal number."""
    result = hashlib.sha256(f"{root}\n{base_python().resolve()}\n{sys.version}\n".encode())
    for name in STAMPED_FILES:
        content = (root / name).read_bytes()
        result.update(f"{name} {len(content)}\n".encode() + content)
    return result.hexdigest()


def base_python() -> Path:
    """The Python that `.venv` stands on; this process may itself run in an activated one."""
    return Path(getattr(sys, "_base_executable", sys.executable))


def fits_this_python(checkout: Checkout) -> bool:
    """Whether the `.venv` that is there was made whole, at this path, by this Python."""
    if checkout.interrupted.exists() or not checkout.python.exists():
        return False
    try:
        lines = (checkout.venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    config = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    return (
        config.get("version") == ".".join(map(str, sys.version_info[:3]))
        and Path(config.get("executable", "")) == base_python().resolve()
        and config.get("command", "").endswith(f" {checkout.venv}")
    )


def _build_venv(checkout: Checkout) -> None:
    if checkout.venv.is_symlink():
        raise SetupError(f"{checkout.venv} is a link; remove it, then run make setup again")
    if checkout.venv.exists():
        shutil.rmtree(checkout.venv)
    command = [str(base_python()), "-I", "-m", "venv", str(checkout.venv)]
    _run(checkout, command, "the virtual environment can't be made")


def _pip(checkout: Checkout, *arguments: str) -> None:
    quiet = ("--quiet", "--no-input", "--disable-pip-version-check", "--no-warn-script-location")
    command = [str(checkout.python), "-m", "pip", "install", *quiet, *arguments]
    _run(checkout, command, "the packages can't be installed")


def _run(checkout: Checkout, command: list[str], failure: str) -> None:
    """Run `command`; if it fails, raise its first complaint behind `failure`."""
    environment = {**os.environ, "PIP_USER": "0"}
    environment.pop("PYTHONHOME", None)
    environment.pop("PYTHONPATH", None)
    with checkout.log.open("ab") as log:
        start = log.tell()
        done = subprocess.run(  # noqa: S603 - Python and pip
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=checkout.root,
            env=environment,
            check=False,
        )
    if done.returncode != 0:
        said = checkout.log.read_bytes()[start:].decode("utf-8", "replace")
        raise SetupError(f"{failure}: {complaint(said)}; see var/setup.log, then run make setup again")


def complaint(said: str) -> str:
    """The line of `said` that tells best what went wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "Error", "error"))]
    return (errors or lines[-1:] or ["no reason was given"])[0].rstrip(".;")


# --- what the system must give


def provide_venv_module() -> None:
    """Make sure that this Python can make virtual environments; Debian packs that apart."""
    if has_venv_module():
        return
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if may_install():
        _say(f"installing {package}")
        apt_install(package)
        importlib.invalidate_caches()
    if not has_venv_module():
        raise SetupError(f"this Python has no venv; run: {install_command(package)}")


def has_venv_module() -> bool:
    """Whether this Python has `venv` and `ensurepip`."""
    return all(importlib.util.find_spec(name) is not None for name in ("venv", "ensurepip"))


def provide_font() -> None:
    """Make sure that the Chinese font is there; without it say so, and go on."""
    if FONT.exists():
        return
    if may_install():
        _say(f"installing {FONT_PACKAGE}")
        apt_install(FONT_PACKAGE)
    if not FONT.exists():
        _say(f"PDF reports need the Chinese font; to get it run: {install_command(FONT_PACKAGE)}")


def may_install() -> bool:
    """Whether system packages can be installed here: as root, on Debian and its relatives."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_command(package: str) -> str:
    """The command that the reader is to run."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install --yes {package}"


def apt_install(package: str) -> bool:
    """Whether apt installed `package`. The list of packages is fetched only if it does not know it yet."""
    install = ["apt-get", "install", "--yes", "--no-install-recommends", package]
    return _apt(install) or (_apt(["apt-get", "update"]) and _apt(install))


def _apt(command: list[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(  # noqa: S603 - apt-get of the system
        command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False
    )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
