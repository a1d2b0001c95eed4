"""Message authentication codes of the trade, and key check values.

Strategy: an algorithm is a row of a table: which key lengths it takes and the function from key and data to the full
code. What a message carries is always the same cut of it, eight upper-case hexadecimal characters of the first four
bytes (`mac_text`); for the XOR methods that is what their authors define, for the others what field 128 has room for.

- CBC-MAC (X9.9) chains single DES; X9.19 ends the chain with the right half of a double key (ISO 9797-1 algorithm 3).
- The XOR methods fold the data into one block first, so that swapping two blocks leaves the code unchanged. They are
  here for banks that can do nothing else; the default is X9.19, and CMAC is better.
- "Pad 1" fills with zeros to a whole block and adds none where the data is whole; "pad 2" adds 80 and then zeros.

Single DES is broken by exhaustion today; X9.9 is kept for old peers only. Keys never appear in errors or in `repr`.
Sources: ANSI X9.9, ANSI X9.19, ISO 9797-1, RFC 4493, GB/T 32907 (SM4), UnionPay POS MAC.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4
from cryptography.hazmat.primitives.cmac import CMAC

from protocols.errors import SignatureError

MAC_TEXT_LENGTH = 8
KEY_CHECK_VALUE_BYTES = 4
_DES_BLOCK, _WIDE_BLOCK = 8, 16
_SINGLE, _DOUBLE = 8, 16


class MacAlgorithm(StrEnum):
    """The names by which a bank's profile chooses."""

    X9_9 = "X9.9"
    X9_9_PAD2 = "X9.9-PAD2"
    X9_19 = "X9.19"
    X9_19_PAD2 = "X9.19-PAD2"
    UNIONPAY_XOR = "UNIONPAY-XOR"
    SM4_XOR = "SM4-XOR"
    SM4_CBC_MAC = "SM4-CBC-MAC"
    AES_CMAC = "AES-CMAC"
    SM4_CMAC = "SM4-CMAC"


_Family = Callable[[bytes], BlockCipherAlgorithm]


def _des(key: bytes) -> BlockCipherAlgorithm:
    # Three equal keys are single DES; K1 K2 K1 is the double-length cipher. The library takes 24 bytes only in future.
    return TripleDES(key * 3 if len(key) == _SINGLE else key + key[:_SINGLE])


@dataclass(frozen=True, slots=True)
class _Recipe:
    key_lengths: tuple[int, ...]
    family: _Family
    block_bytes: int
    compute: Callable[[bytes, bytes], bytes]


def pad_zeros(data: bytes, block_bytes: int) -> bytes:
    """ISO 9797-1 padding 1: zeros to a whole block; whole data stays, empty data becomes one block."""
    missing = -len(data) % block_bytes if data else block_bytes
    return data + bytes(missing)


def pad_bit(data: bytes, block_bytes: int) -> bytes:
    """ISO 9797-1 padding 2: one bit 1 (80), then zeros to a whole block."""
    return pad_zeros(data + b"\x80", block_bytes)


def _encrypt(cipher: BlockCipherAlgorithm, data: bytes) -> bytes:
    # ECB over single blocks is the block cipher itself, which is what these constructions are built from.
    return Cipher(cipher, modes.ECB()).encryptor().update(data)  # noqa: S305


def _decrypt(cipher: BlockCipherAlgorithm, data: bytes) -> bytes:
    return Cipher(cipher, modes.ECB()).decryptor().update(data)  # noqa: S305


def _cbc_last(cipher: BlockCipherAlgorithm, padded: bytes, block_bytes: int) -> bytes:
    """The last block of CBC over `padded` with an initial value of zeros."""
    return Cipher(cipher, modes.CBC(bytes(block_bytes))).encryptor().update(padded)[-block_bytes:]


def _x9_9(key: bytes, data: bytes, pad: Callable[[bytes, int], bytes]) -> bytes:
    return _cbc_last(_des(key[:_SINGLE]), pad(data, _DES_BLOCK), _DES_BLOCK)


def _x9_19(key: bytes, data: bytes, pad: Callable[[bytes, int], bytes]) -> bytes:
    left, right = _des(key[:_SINGLE]), _des(key[_SINGLE:])
    return _encrypt(left, _decrypt(right, _cbc_last(left, pad(data, _DES_BLOCK), _DES_BLOCK)))


def fold_blocks(data: bytes, block_bytes: int) -> bytes:
    """XOR of all blocks of `data`, padded with zeros."""
    padded = pad_zeros(data, block_bytes)
    value = 0
    for offset in range(0, len(padded), block_bytes):
        value ^= int.from_bytes(padded[offset : offset + block_bytes], "big")
    return value.to_bytes(block_bytes, "big")


def _xor_method(cipher: BlockCipherAlgorithm, data: bytes, block_bytes: int) -> bytes:
    """Fold, write as hexadecimal (two blocks of text), encrypt the first, XOR the second, encrypt."""
    text = fold_blocks(data, block_bytes).hex().upper().encode("ascii")
    first = int.from_bytes(_encrypt(cipher, text[:block_bytes]), "big")
    mixed = first ^ int.from_bytes(text[block_bytes:], "big")
    return _encrypt(cipher, mixed.to_bytes(block_bytes, "big"))


def _cmac(cipher: BlockCipherAlgorithm, data: bytes) -> bytes:
    code = CMAC(cipher)
    code.update(data)
    return code.finalize()


_RECIPES: Mapping[MacAlgorithm, _Recipe] = MappingProxyType(
    {
        # X9.9 takes the left half of a double key, so that a bank can change the algorithm and keep its key.
        MacAlgorithm.X9_9: _Recipe((8, 16), _des, 8, lambda key, data: _x9_9(key, data, pad_zeros)),
        MacAlgorithm.X9_9_PAD2: _Recipe((8, 16), _des, 8, lambda key, data: _x9_9(key, data, pad_bit)),
        MacAlgorithm.X9_19: _Recipe((16,), _des, 8, lambda key, data: _x9_19(key, data, pad_zeros)),
        MacAlgorithm.X9_19_PAD2: _Recipe((16,), _des, 8, lambda key, data: _x9_19(key, data, pad_bit)),
        MacAlgorithm.UNIONPAY_XOR: _Recipe((8, 16), _des, 8, lambda key, data: _xor_method(_des(key), data, 8)),
        MacAlgorithm.SM4_XOR: _Recipe((16,), SM4, 16, lambda key, data: _xor_method(SM4(key), data, 16)),
        MacAlgorithm.SM4_CBC_MAC: _Recipe(
            (16,), SM4, 16, lambda key, data: _cbc_last(SM4(key), pad_zeros(data, _WIDE_BLOCK), _WIDE_BLOCK)
        ),
        MacAlgorithm.AES_CMAC: _Recipe((16, 24, 32), AES, 16, lambda key, data: _cmac(AES(key), data)),
        MacAlgorithm.SM4_CMAC: _Recipe((16,), SM4, 16, lambda key, data: _cmac(SM4(key), data)),
    }
)


def key_lengths(algorithm: MacAlgorithm) -> tuple[int, ...]:
    """The key lengths in bytes that `algorithm` takes."""
    return _RECIPES[algorithm].key_lengths


def check_key(algorithm: MacAlgorithm, key: bytes) -> None:
    """Raises SignatureError where `key` has a length that `algorithm` does not take."""
    lengths = key_lengths(algorithm)
    if len(key) not in lengths:
        expected = " or ".join(map(str, lengths))
        raise SignatureError("MAC key", f"{algorithm} takes {expected} bytes, the key has {len(key)}")


def compute_mac(algorithm: MacAlgorithm, key: bytes, data: bytes) -> bytes:
    """The full code over `data`: 8 bytes with DES, 16 with SM4 and AES. Raises SignatureError on a wrong key length."""
    check_key(algorithm, key)
    return _RECIPES[algorithm].compute(key, data)


def mac_text(algorithm: MacAlgorithm, key: bytes, data: bytes) -> str:
    """What a message carries: eight upper-case hexadecimal characters, the first four bytes of the code."""
    return compute_mac(algorithm, key, data)[: MAC_TEXT_LENGTH // 2].hex().upper()


def verify_mac(algorithm: MacAlgorithm, key: bytes, data: bytes, received: str) -> bool:
    """Whether `received` is the code of `data`, compared in constant time. Lower case is not the same text."""
    return hmac.compare_digest(mac_text(algorithm, key, data).encode("ascii"), received.encode("utf-8"))


def key_check_value(algorithm: MacAlgorithm, key: bytes) -> str:
    """The first four bytes of one block of zeros under `key`, as eight hexadecimal characters (校验值)."""
    check_key(algorithm, key)
    recipe = _RECIPES[algorithm]
    return _encrypt(recipe.family(key), bytes(recipe.block_bytes))[:KEY_CHECK_VALUE_BYTES].hex().upper()
