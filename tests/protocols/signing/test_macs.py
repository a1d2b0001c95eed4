"""MACs against every published vector, key check values, and the weakness of the XOR methods."""

from __future__ import annotations

from typing import get_args

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from hypothesis import given
from hypothesis import strategies as st

from gateway.banks.profile import MacAlgorithmName
from protocols.errors import SignatureError
from protocols.signing.macs import (
    MacAlgorithm,
    compute_mac,
    fold_blocks,
    key_check_value,
    key_lengths,
    mac_text,
    pad_bit,
    pad_zeros,
    verify_mac,
)

DOUBLE_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
SINGLE_KEY = DOUBLE_KEY[:8]
RFC_4493_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
RFC_4493_TEXT = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
SHORT_MESSAGE = bytes.fromhex("0200F038000000C0800030303030303030303030303130303030")
POS_MESSAGE = bytes.fromhex(
    "08300000000002C000153030363730303436343238393733373031373933323330303200110000000137200277"
    "319F0605A0000003339F220103DF050832303234313233319F0605A0000003339F220104DF050832303234313233"
    "319F0605A0000003339F220102DF050832303231313233319F0605A0000000039F220107DF050832303137313233"
    "319F0605A0000000039F220108DF050832303233313233319F0605A0000000039F220109DF050832303233313233"
    "319F0605A0000000659F220110DF050832303232313233319F0605A0000000659F220112DF050832303232313233"
    "319F0605A0000000659F220114DF050832303232313233319F0605A0000000049F220104DF050832303137313233"
    "319F0605A0000000049F220105DF050832303231313233319F0605A0000000049F220106DF05083230323131323331"
)
ALL = b"Now is the time for all "
IT = b"Now is the time for it"

VECTORS = [
    ("ANSI X9.9", MacAlgorithm.X9_9, SINGLE_KEY, b"7654321 Now is the time for ", "F1D30F6849312CA4"),
    ("ISO 9797-1 algorithm 1 padding 1", MacAlgorithm.X9_9, SINGLE_KEY, ALL, "70A30640CC76DD8B"),
    ("ISO 9797-1 algorithm 1 padding 2", MacAlgorithm.X9_9_PAD2, SINGLE_KEY, ALL, "10E1F0F108341B6D"),
    ("ISO 9797-1 algorithm 3 padding 1", MacAlgorithm.X9_19, DOUBLE_KEY, ALL, "A1C72E74EA3FA9B6"),
    ("ISO 9797-1 algorithm 3 padding 2", MacAlgorithm.X9_19_PAD2, DOUBLE_KEY, ALL, "E9086230CA3BE796"),
    ("algorithm 1 padding 1, part block", MacAlgorithm.X9_9, SINGLE_KEY, IT, "E45B3AD2B7CC0856"),
    ("algorithm 1 padding 2, part block", MacAlgorithm.X9_9_PAD2, SINGLE_KEY, IT, "A924C72136149211"),
    ("algorithm 3 padding 1, part block", MacAlgorithm.X9_19, DOUBLE_KEY, IT, "2E2B1428CC78254F"),
    ("algorithm 3 padding 2, part block", MacAlgorithm.X9_19_PAD2, DOUBLE_KEY, IT, "5A692CE64F404145"),
    (
        "UnionPay POS 0830",
        MacAlgorithm.UNIONPAY_XOR,
        bytes.fromhex("55036372B17543ECB173730768B8D6C4"),
        POS_MESSAGE,
        "5FE058DB90680D33",
    ),
    ("RFC 4493, 0 bytes", MacAlgorithm.AES_CMAC, RFC_4493_KEY, b"", "bb1d6929e95937287fa37d129b756746"),
    ("RFC 4493, 16", MacAlgorithm.AES_CMAC, RFC_4493_KEY, RFC_4493_TEXT[:16], "070a16b46b4d4144f79bdd9dd04a287c"),
    ("RFC 4493, 40", MacAlgorithm.AES_CMAC, RFC_4493_KEY, RFC_4493_TEXT[:40], "dfa66747de9ae63030ca32611497c827"),
    ("RFC 4493, 64", MacAlgorithm.AES_CMAC, RFC_4493_KEY, RFC_4493_TEXT, "51f0bebf7e3b9d92fc49741779363cfe"),
    (
        "SM4 POS",
        MacAlgorithm.SM4_XOR,
        bytes.fromhex("12345678901234567890123456789012"),
        b"6000112018111411003020170930101010120171025000755000000005553",
        "1E80F37340B0FEE62C81F356AFB20BF1",
    ),
    (
        "SM4 CBC-MAC",
        MacAlgorithm.SM4_CBC_MAC,
        bytes.fromhex("C5945F5BDF1E2DD83C6BFCA9699975F3"),
        b"PCK1209339432640F07BEC962141300010024402220516956",
        "55BD7EFE36472A824105C55A5126AE60",
    ),
    (
        "SM4-CMAC",
        MacAlgorithm.SM4_CMAC,
        DOUBLE_KEY,
        b"bank-utility-gateway",
        "1403a21fcfaef8e7a86f3dcf08d90031",
    ),
    ("one message, X9.9 of a double key", MacAlgorithm.X9_9, DOUBLE_KEY, SHORT_MESSAGE, "AA0BA57392B12E6B"),
    ("one message, X9.19", MacAlgorithm.X9_19, DOUBLE_KEY, SHORT_MESSAGE, "0C77B5B2941C1628"),
    ("one message, UnionPay", MacAlgorithm.UNIONPAY_XOR, DOUBLE_KEY, SHORT_MESSAGE, "71ACED94B832F28B"),
    (
        "one message, SM4 CBC",
        MacAlgorithm.SM4_CBC_MAC,
        DOUBLE_KEY,
        SHORT_MESSAGE,
        "154168663875685F1FDC356A1BC6DCFD",
    ),
    ("one message, AES-CMAC", MacAlgorithm.AES_CMAC, DOUBLE_KEY, SHORT_MESSAGE, "F0FF97CFB6D5AF1B0AB4CF3C599A27C8"),
    ("one message, SM4-CMAC", MacAlgorithm.SM4_CMAC, DOUBLE_KEY, SHORT_MESSAGE, "22DDC6FD22BAFA0EC79F5B3780AEC490"),
]


@pytest.mark.parametrize(("name", "algorithm", "key", "data", "expected"), VECTORS, ids=[row[0] for row in VECTORS])
def test_published_vectors(name: str, algorithm: MacAlgorithm, key: bytes, data: bytes, expected: str) -> None:
    assert compute_mac(algorithm, key, data).hex().upper() == expected.upper()


@pytest.mark.parametrize(
    ("algorithm", "key", "data", "expected"),
    [
        (MacAlgorithm.UNIONPAY_XOR, VECTORS[9][2], POS_MESSAGE, "5FE058DB"),
        (MacAlgorithm.UNIONPAY_XOR, DOUBLE_KEY, SHORT_MESSAGE, "71ACED94"),
        (MacAlgorithm.SM4_XOR, DOUBLE_KEY, SHORT_MESSAGE, "0DADBB2B"),
        (MacAlgorithm.X9_19, DOUBLE_KEY, SHORT_MESSAGE, "0C77B5B2"),
    ],
)
def test_the_text_that_a_message_carries(algorithm: MacAlgorithm, key: bytes, data: bytes, expected: str) -> None:
    assert mac_text(algorithm, key, data) == expected


@pytest.mark.parametrize(
    ("data", "block_bytes", "expected"),
    [
        (POS_MESSAGE, 8, "1212B04E1227809C"),
        (b"6000112018111411003020170930101010120171025000755000000005553", 16, "02000202030004060106020403343734"),
    ],
)
def test_folding_blocks(data: bytes, block_bytes: int, expected: str) -> None:
    assert fold_blocks(data, block_bytes).hex().upper() == expected


def test_the_steps_of_the_unionpay_method() -> None:
    """Single length: the same steps with DES, computed here step by step with the cipher itself."""
    text = fold_blocks(POS_MESSAGE, 8).hex().upper().encode()
    cipher = Cipher(TripleDES(SINGLE_KEY * 3), modes.ECB())
    first = cipher.encryptor().update(text[:8])
    mixed = bytes(left ^ right for left, right in zip(first, text[8:], strict=True))
    assert compute_mac(MacAlgorithm.UNIONPAY_XOR, SINGLE_KEY, POS_MESSAGE) == cipher.encryptor().update(mixed)


def test_sm4_block() -> None:
    """GB/T 32907: key and text equal. The cipher under the MACs is the standard's."""
    encrypted = Cipher(SM4(DOUBLE_KEY), modes.ECB()).encryptor().update(DOUBLE_KEY)
    assert encrypted.hex() == "681edf34d206965e86b3e94f536e4246"


@pytest.mark.parametrize(
    ("algorithm", "key", "expected"),
    [
        (MacAlgorithm.UNIONPAY_XOR, bytes.fromhex("807A23AD32B36D457AE91FDF927570EA"), "8D0A74B8"),
        (MacAlgorithm.UNIONPAY_XOR, bytes.fromhex("5BB5C72CD00B7338"), "AB7153CA"),
        (MacAlgorithm.X9_19, DOUBLE_KEY, "08D7B4FB"),
        (MacAlgorithm.SM4_CMAC, DOUBLE_KEY, "2677F46B"),
    ],
)
def test_key_check_values(algorithm: MacAlgorithm, key: bytes, expected: str) -> None:
    assert key_check_value(algorithm, key) == expected


@pytest.mark.parametrize(
    ("wrapped", "clear"),
    [
        ("6701EAD6A9AD51E51AA406E2C27FCFA9", "807A23AD32B36D457AE91FDF927570EA"),
        ("B651F9E9BACE9AE1", "5BB5C72CD00B7338"),
    ],
)
def test_the_sign_on_key_block_unwraps(wrapped: str, clear: str) -> None:
    """The published work keys under their published master key: our check values belong to the real clear keys."""
    master = bytes.fromhex("CA5D92598DCA48CE8A4C76361A9269E9")
    decryptor = Cipher(TripleDES(master + master[:8]), modes.ECB()).decryptor()
    assert decryptor.update(bytes.fromhex(wrapped)).hex().upper() == clear


def test_swapped_blocks_pass_the_xor_method_and_no_other() -> None:
    """Why the XOR methods are for compatibility only."""
    swapped = SHORT_MESSAGE[8:16] + SHORT_MESSAGE[:8] + SHORT_MESSAGE[16:]
    assert swapped != SHORT_MESSAGE
    unchanged = {
        algorithm
        for algorithm in MacAlgorithm
        if compute_mac(algorithm, DOUBLE_KEY, SHORT_MESSAGE) == compute_mac(algorithm, DOUBLE_KEY, swapped)
    }
    assert unchanged == {MacAlgorithm.UNIONPAY_XOR}


def test_swapped_wide_blocks_pass_the_sm4_xor_method() -> None:
    data = bytes(range(48))
    swapped = data[16:32] + data[:16] + data[32:]
    same = compute_mac(MacAlgorithm.SM4_XOR, DOUBLE_KEY, data) == compute_mac(MacAlgorithm.SM4_XOR, DOUBLE_KEY, swapped)
    assert same
    assert compute_mac(MacAlgorithm.SM4_CMAC, DOUBLE_KEY, data) != compute_mac(
        MacAlgorithm.SM4_CMAC, DOUBLE_KEY, swapped
    )


@pytest.mark.parametrize("algorithm", MacAlgorithm)
@pytest.mark.parametrize("length", [0, 1, 7, 8, 15, 16, 17, 24, 32, 33])
def test_key_lengths_are_checked(algorithm: MacAlgorithm, length: int) -> None:
    key = bytes(range(length))
    if length in key_lengths(algorithm):
        assert len(mac_text(algorithm, key, b"data")) == 8
    else:
        with pytest.raises(SignatureError, match=f"the key has {length}") as caught:
            compute_mac(algorithm, key, b"data")
        assert not length or key.hex() not in str(caught.value)


def test_the_profile_offers_only_algorithms_that_exist() -> None:
    assert set(get_args(MacAlgorithmName)) <= {algorithm.value for algorithm in MacAlgorithm}


@pytest.mark.parametrize("algorithm", MacAlgorithm)
def test_verification(algorithm: MacAlgorithm) -> None:
    right = mac_text(algorithm, DOUBLE_KEY, SHORT_MESSAGE)
    assert verify_mac(algorithm, DOUBLE_KEY, SHORT_MESSAGE, right)
    for wrong in (right.lower(), right[:-1], right + "0", "11111111", "", "错误错误"):
        assert wrong == right or not verify_mac(algorithm, DOUBLE_KEY, SHORT_MESSAGE, wrong)


@pytest.mark.parametrize(
    ("data", "zeros", "bit"),
    [
        (b"", "0000000000000000", "8000000000000000"),
        (b"\x01", "0100000000000000", "0180000000000000"),
        (b"\x01" * 8, "01" * 8, "01" * 8 + "8000000000000000"),
    ],
)
def test_padding(data: bytes, zeros: str, bit: str) -> None:
    assert pad_zeros(data, 8).hex() == zeros
    assert pad_bit(data, 8).hex() == bit


@given(
    data=st.binary(max_size=200),
    index=st.integers(0, 199),
    algorithm=st.sampled_from([item for item in MacAlgorithm if "XOR" not in item]),
)
def test_any_changed_byte_changes_the_code(data: bytes, index: int, algorithm: MacAlgorithm) -> None:
    if index < len(data):
        changed = data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]
        assert compute_mac(algorithm, DOUBLE_KEY, data) != compute_mac(algorithm, DOUBLE_KEY, changed)
