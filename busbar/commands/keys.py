"""`busbar keys`: make keys, list them, show what may be shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.keyring import Keyring


def _folder(installation: Path) -> Path:
    return installation / "keys"


_INSTALLATION = click.option(
    "--installation",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("installation"),
    show_default=True,
    help="folder of the installation 安装目录",
)


@click.group(name="keys")
def command() -> None:
    """Keys of the installation 密钥: secret files have mode 0600 and are never printed."""


@command.group()
def new() -> None:
    """Make a key 生成密钥; an existing one is never overwritten."""


@new.command()
@click.argument("key_id", metavar="ID")
@click.option("--bytes", "length_bytes", type=int, default=16, show_default=True, help="8, 16, 24 or 32 密钥长度")
@_INSTALLATION
def mac(key_id: str, length_bytes: int, installation: Path) -> None:
    """Make a MAC key ID and print its check values 校验值, by which the bank knows that it holds the same."""
    from gateway.keyring import Keyring, new_mac_key

    new_mac_key(_folder(installation), key_id, length_bytes)
    _show(Keyring(_folder(installation)), key_id)


@new.command()
@click.argument("key_id", metavar="ID")
@click.option("--bits", type=click.Choice(["2048", "3072", "4096"]), default="2048", show_default=True, help="密钥位数")
@_INSTALLATION
def rsa(key_id: str, bits: str, installation: Path) -> None:
    """Make an RSA key pair ID: ID.key.pem stays here, ID.pub.pem goes to the bank."""
    from gateway.keyring import Keyring, new_rsa_key

    new_rsa_key(_folder(installation), key_id, int(bits))
    _show(Keyring(_folder(installation)), key_id)


@command.command(name="list")
@_INSTALLATION
def list_keys(installation: Path) -> None:
    """List all keys with their check values or fingerprints 列出密钥; exit code 2 if one can't be used."""
    from gateway.keyring import Keyring

    if not _show(Keyring(_folder(installation)), None):
        raise click.ClickException("not every key can be used; see the lines above")


@command.command(name="show-public")
@click.argument("key_id", metavar="ID")
@_INSTALLATION
def show_public(key_id: str, installation: Path) -> None:
    """Print the public key ID as PEM, to be given to a bank 显示公钥."""
    from gateway.keyring import Keyring, public_pem

    keyring = Keyring(_folder(installation))
    click.echo(public_pem(keyring, key_id), nl=False)


def _show(keyring: Keyring, only: str | None) -> bool:
    """Print one line a key; whether all of them can be used."""
    good = True
    for key in keyring.list():
        if only is not None and key.key_id != only:
            continue
        values = "  ".join(f"{name} {value}" for name, value in key.check_values)
        click.echo(f"{key.key_id:<24} {key.kind.name.lower():<8} {values or key.problem}")
        good = good and not key.problem
    return good
