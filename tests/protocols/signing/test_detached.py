"""The `.sig` beside a file: made, checked, and refused in every way."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64encode
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import SignatureError
from protocols.signing.detached import (
    DigestAlgorithm,
    FileStatement,
    SigError,
    SigProblem,
    TrustedKey,
    check_sig,
    digest_of,
    make_sig,
    parse_sig,
)

CONTENT = b"H|RECON|...\r\n"
STATEMENT = FileStatement(
    "301581000230", date(2024, 4, 3), 1, "RECON_301581000230_20240403_001.txt", digest_of([CONTENT])
)
PRIVATE = rsa.generate_private_key(65537, 2048)
KEY = TrustedKey("settlement-2024", PRIVATE.public_key())
SIG = make_sig(STATEMENT, KEY.key_id, PRIVATE)


def forged(text: bytes) -> bytes:
    """`text` (a statement) with our own right signature over it."""
    signature = b64encode(PRIVATE.sign(text, padding.PKCS1v15(), hashes.SHA256()))
    return text + b"signature_algorithm: RSA-SHA256\nkey: settlement-2024\nsignature: " + signature + b"\n"


def test_the_text_is_the_documented_one() -> None:
    lines = SIG.decode().split("\n")
    assert lines[:9] == [
        "version: 1",
        "bank: 301581000230",
        "clearing_date: 20240403",
        "sequence: 001",
        "file: RECON_301581000230_20240403_001.txt",
        "digest_algorithm: SHA-256",
        f"digest: {STATEMENT.digest}",
        "signature_algorithm: RSA-SHA256",
        "key: settlement-2024",
    ]
    assert lines[9].startswith("signature: ")
    assert lines[10:] == [""]


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        (DigestAlgorithm.SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (DigestAlgorithm.SM3, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        (DigestAlgorithm.MD5, "900150983cd24fb0d6963f7d28e17f72"),
    ],
)
def test_the_standards_digest_of_abc(algorithm: DigestAlgorithm, digest: str) -> None:
    assert digest_of([b"a", b"", b"bc"], algorithm) == digest


@pytest.mark.parametrize("algorithm", DigestAlgorithm)
def test_what_is_made_is_accepted(algorithm: DigestAlgorithm) -> None:
    statement = replace(STATEMENT, digest=digest_of([CONTENT], algorithm), algorithm=algorithm)
    check_sig(make_sig(statement, KEY.key_id, PRIVATE), statement, KEY)
    check_sig(make_sig(statement), statement, None)


def test_a_signature_that_nobody_asked_for_does_no_harm() -> None:
    check_sig(SIG, STATEMENT, None)


def test_line_ends_and_the_case_of_the_digest_do_not_matter() -> None:
    check_sig(SIG.replace(b"\n", b"\r\n"), STATEMENT, KEY)
    upper = STATEMENT.text().replace(STATEMENT.digest.encode(), STATEMENT.digest.upper().encode())
    check_sig(forged(upper), STATEMENT, KEY)


OTHER = rsa.generate_private_key(65537, 2048)
UNSIGNED = make_sig(STATEMENT)
REFUSED: list[tuple[bytes, SigProblem, str]] = [
    (b"", SigProblem.FORM, ".sig"),
    (b"x" * 5000, SigProblem.FORM, ".sig"),
    (SIG + b"more: 1\n", SigProblem.FORM, ".sig"),
    (SIG[:-1], SigProblem.FORM, ".sig line 10"),
    (SIG.replace(b"bank: ", b"bank:"), SigProblem.FORM, ".sig line 2"),
    (SIG.replace(b"version: 1\nbank: 301581000230", b"bank: 301581000230\nversion: 1"), SigProblem.FORM, ".sig line 1"),
    (SIG.replace(b"sequence: 001", b"sequence: "), SigProblem.FORM, ".sig line 4"),
    (SIG.replace(b"bank: 301581000230", "bank: 银行".encode()), SigProblem.FORM, ".sig"),
    (SIG.replace(b"signature: ", b"signature: !"), SigProblem.FORM, ".sig line 10"),
    (SIG[:-4] + bytes([SIG[-4] + 1]) + SIG[-3:], SigProblem.FORM, ".sig line 10"),
    (SIG.replace(b": SHA-256", b": MD5"), SigProblem.DIGEST_ALGORITHM, ".sig line 6"),
    (SIG.replace(b"digest: " + STATEMENT.digest[:4].encode(), b"digest: 0000"), SigProblem.DIGEST, ".sig line 7"),
    (SIG.replace(STATEMENT.digest.encode(), STATEMENT.digest[:32].encode()), SigProblem.DIGEST, ".sig line 7"),
    (UNSIGNED, SigProblem.UNSIGNED, ".sig"),
    (SIG.replace(b"RSA-SHA256", b"RSA-SHA1"), SigProblem.KEY, ".sig line 8"),
    (SIG.replace(b"key: settlement-2024", b"key: mine"), SigProblem.KEY, ".sig line 9"),
    (make_sig(STATEMENT, KEY.key_id, OTHER), SigProblem.SIGNATURE, ".sig line 10"),
    (SIG.replace(b"sequence: 001", b"sequence: 002"), SigProblem.SIGNATURE, ".sig line 10"),
    (forged(STATEMENT.text().replace(b"version: 1", b"version: 2")), SigProblem.STATEMENT, ".sig line 1"),
    (forged(STATEMENT.text().replace(b"bank: 30", b"bank: 31")), SigProblem.STATEMENT, ".sig line 2"),
    (forged(STATEMENT.text().replace(b"date: 2024", b"date: 2023")), SigProblem.STATEMENT, ".sig line 3"),
    (forged(STATEMENT.text().replace(b"sequence: 001", b"sequence: 002")), SigProblem.STATEMENT, ".sig line 4"),
    (forged(STATEMENT.text().replace(b"_001.txt", b"_002.txt")), SigProblem.STATEMENT, ".sig line 5"),
]


@pytest.mark.parametrize(("data", "problem", "where"), REFUSED)
def test_a_sig_is_refused(data: bytes, problem: SigProblem, where: str) -> None:
    with pytest.raises(SigError) as caught:
        check_sig(data, STATEMENT, KEY)
    assert (caught.value.problem, caught.value.where) == (problem, where)


def test_without_a_key_the_statement_still_binds() -> None:
    for data in (
        UNSIGNED.replace(b"sequence: 001", b"sequence: 002"),
        UNSIGNED.replace(STATEMENT.digest.encode(), b"00"),
    ):
        with pytest.raises(SigError):
            check_sig(data, STATEMENT, None)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_order(data: bytes) -> None:
    with pytest.raises(SignatureError):
        check_sig(data, STATEMENT, KEY)


@given(st.integers(0, len(SIG) - 1), st.integers(0, 255))
def test_no_byte_of_a_sig_can_be_changed(position: int, value: int) -> None:
    changed = SIG[:position] + bytes([value]) + SIG[position + 1 :]
    if changed == SIG:
        return
    with pytest.raises(SignatureError):
        check_sig(changed, STATEMENT, KEY)


@pytest.mark.parametrize(
    "changes",
    [{"bank": "a b"}, {"name": "a\nb"}, {"sequence": 1000}, {"sequence": -1}, {"digest": "XY"}, {"digest": ""}],
)
def test_a_statement_is_valid_on_construction(changes: dict[str, str | int]) -> None:
    with pytest.raises(ValueError, match=r"letters|three digits"):
        replace(STATEMENT, **changes)  # type: ignore[arg-type]  # the wrong types are the test


def test_a_key_and_its_name_come_together() -> None:
    for key_id, private in (("name", None), (None, PRIVATE)):
        with pytest.raises(ValueError, match="come together"):
            make_sig(STATEMENT, key_id, private)
    with pytest.raises(ValueError, match="key's name"):
        make_sig(STATEMENT, "a\nb", PRIVATE)


def test_nothing_private_is_in_a_repr() -> None:
    parsed = parse_sig(SIG)
    assert parsed.signature is not None
    assert repr(parsed.signature) not in repr(parsed)
    assert "RSAPublicKey" not in repr(KEY)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_agrees(tmp_path: Path) -> None:
    """As the wire page says: the first seven lines are what `openssl dgst -sha256` signs and verifies."""
    public = PRIVATE.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signature = parse_sig(SIG).signature
    assert signature is not None
    for name, data in (
        ("statement", b"".join(SIG.splitlines(keepends=True)[:7])),
        ("public", public),
        ("raw", signature),
    ):
        (tmp_path / name).write_bytes(data)
    command = ["openssl", "dgst", "-sha256", "-verify", "public", "-signature", "raw", "statement"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "Verified OK\n", done.stderr
