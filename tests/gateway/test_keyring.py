"""Keys: made exclusively, refused when others can read them, never shown."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.keyring import KeyKind, Keyring, KeyringError, new_mac_key, new_rsa_key, public_pem
from protocols.signing.macs import MacAlgorithm


def test_a_new_mac_key_is_random_private_and_loaded_again(tmp_path: Path) -> None:
    made = new_mac_key(tmp_path, "a")
    other = new_mac_key(tmp_path, "b")
    assert len(made.secret) == 16
    assert made.secret != other.secret
    assert stat.S_IMODE((tmp_path / "a.mac").stat().st_mode) == 0o600
    assert Keyring(tmp_path).mac_key("a") == made


def test_a_new_rsa_key_has_two_files_of_one_pair(tmp_path: Path) -> None:
    made = new_rsa_key(tmp_path, "u-1")
    assert stat.S_IMODE((tmp_path / "u-1.key.pem").stat().st_mode) == 0o600
    keyring = Keyring(tmp_path)
    assert keyring.signing_key("u-1").verifying().fingerprint() == made.verifying().fingerprint()
    assert keyring.verifying_key("u-1").fingerprint() == made.verifying().fingerprint()
    assert public_pem(keyring, "u-1").startswith("-----BEGIN PUBLIC KEY-----")
    (tmp_path / "u-1.pub.pem").unlink()
    assert public_pem(Keyring(tmp_path), "u-1") == made.verifying().pem().decode()


def test_nothing_of_a_secret_is_shown(tmp_path: Path) -> None:
    key = new_mac_key(tmp_path, "a")
    keyring = Keyring(tmp_path)
    shown = repr(key) + repr(keyring.mac_key("a")) + repr(keyring) + repr(keyring.list())
    assert key.secret.hex() not in shown.lower()
    assert repr(key.secret) not in shown


def test_check_values_are_the_known_ones(tmp_path: Path) -> None:
    """Key 0123…3210: 3DES 08D7B4FB, SM4 2677F46B (published values)."""
    (tmp_path / "k.mac").write_text("0123456789ABCDEFFEDCBA9876543210\n")
    (tmp_path / "k.mac").chmod(0o600)
    (info,) = Keyring(tmp_path).list()
    assert dict(info.check_values) | {"AES": ""} == {"3DES": "08D7B4FB", "SM4": "2677F46B", "AES": ""}
    assert Keyring(tmp_path).mac_key("k").check_value(MacAlgorithm.X9_19) == "08D7B4FB"


def _write(folder: Path, name: str, text: str, mode: int = 0o600) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(mode)


def _mac_readable_by_group(folder: Path) -> None:
    _write(folder, "x.mac", "00" * 16, 0o640)


def _mac_readable_by_all(folder: Path) -> None:
    _write(folder, "x.mac", "00" * 16, 0o604)


def _private_readable(folder: Path) -> None:
    new_rsa_key(folder, "x")
    (folder / "x.key.pem").chmod(0o644)


REFUSALS = [
    (_mac_readable_by_group, KeyKind.MAC, "run: chmod 600 .*x.mac"),
    (_mac_readable_by_all, KeyKind.MAC, "run: chmod 600 .*x.mac"),
    (_private_readable, KeyKind.PRIVATE, "run: chmod 600 .*x.key.pem"),
    (lambda folder: _write(folder, "x.mac", "secretsecret"), KeyKind.MAC, "hexadecimal"),
    (lambda folder: _write(folder, "x.mac", "00" * 7), KeyKind.MAC, "this one has 7"),
    (lambda folder: None, KeyKind.MAC, "busbar keys new mac x"),
    (lambda folder: None, KeyKind.PRIVATE, "busbar keys new rsa x"),
    (lambda folder: None, KeyKind.PUBLIC, "put the peer's PEM there"),
    (lambda folder: _write(folder, "x.key.pem", "secretsecret"), KeyKind.PRIVATE, "not a PEM private key"),
    (lambda folder: _write(folder, "x.pub.pem", "secretsecret"), KeyKind.PUBLIC, "neither a PEM public key"),
    (lambda folder: (folder / "x.mac").mkdir(0o700), KeyKind.MAC, "can't be read"),
]


@pytest.mark.parametrize(("prepare", "kind", "what"), REFUSALS)
def test_refusals_say_what_to_do(tmp_path: Path, prepare: object, kind: KeyKind, what: str) -> None:
    assert callable(prepare)
    prepare(tmp_path)
    keyring = Keyring(tmp_path)
    get = {KeyKind.MAC: keyring.mac_key, KeyKind.PRIVATE: keyring.signing_key, KeyKind.PUBLIC: keyring.verifying_key}
    with pytest.raises(KeyringError, match=what) as caught:
        get[kind]("x")
    assert "secretsecret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_key_is_ever_overwritten(tmp_path: Path) -> None:
    new_mac_key(tmp_path, "a")
    before = (tmp_path / "a.mac").read_bytes()
    with pytest.raises(KeyringError, match="exists already"):
        new_mac_key(tmp_path, "a")
    assert (tmp_path / "a.mac").read_bytes() == before


@pytest.mark.parametrize("key_id", ["", "../a", "a/b", ".hidden", "a" * 65, "a b"])
def test_ids_are_names_and_no_paths(tmp_path: Path, key_id: str) -> None:
    for make in (new_mac_key, new_rsa_key):
        with pytest.raises(KeyringError, match="a key id has"):
            make(tmp_path, key_id)
    with pytest.raises(KeyringError, match="a key id has"):
        Keyring(tmp_path).mac_key(key_id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [0, 7, 15, 33])
def test_lengths_of_mac_keys(tmp_path: Path, length: int) -> None:
    with pytest.raises(KeyringError, match="8, 16, 24, 32"):
        new_mac_key(tmp_path, "a", length)


def test_a_bad_key_is_listed_with_its_problem(tmp_path: Path) -> None:
    new_mac_key(tmp_path, "good")
    _write(tmp_path, "bad.mac", "00", 0o600)
    listed = {key.key_id: key for key in Keyring(tmp_path).list()}
    assert listed["good"].problem == ""
    assert "this one has 1" in listed["bad"].problem
