"""Check digits: what tells a number that was given out from any other of its length."""

import hashlib

ALPHABET_36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BASE58 = {c: n for n, c in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
BECH32 = {c: n for n, c in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
BECH32_ENDS = (1, 0x2BC830A3)
"""What a valid checksum leaves, by BIP 173 (version 0) and BIP 350 (later versions)."""

VERHOEFF_PERMUTATION = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4))
"""J. Verhoeff, "Error detecting decimal codes", 1969: the identity and the permutation whose powers he uses."""


def luhn_ok(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right is doubled."""
    doubled = sum((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[int(d)] for d in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


def verhoeff_ok(digits: str) -> bool:
    """Verhoeff's check in the dihedral group of the pentagon."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place % 8):
            value = VERHOEFF_PERMUTATION[1][value]
        check = _dihedral(check, value)
    return check == 0


def _dihedral(a: int, b: int) -> int:
    """Product in the group of order ten: 0-4 turn, 5-9 turn and flip."""
    turn = (a + b) % 5 if a < 5 else (a - b) % 5
    return turn + 5 * ((a < 5) != (b < 5))


def iban_ok(code: str) -> bool:
    """ISO 13616: with the first four characters at the end and letters as 10 to 35, the remainder by 97 is 1."""
    return int("".join(str(ALPHABET_36.index(c)) for c in code[4:] + code[:4])) % 97 == 1


def weighted_sum(digits: str, weights: tuple[int, ...]) -> int:
    """Sum of digits times weights; the shorter of both decides how many."""
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False))


def mod_11_10_ok(digits: str) -> bool:
    """ISO/IEC 7064, MOD 11,10."""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (product + int(digits[-1])) % 10 == 1


def mod_11_2_ok(code: str) -> bool:
    """ISO/IEC 7064, MOD 11-2; the last character may be X."""
    total = 0
    for character in code:
        total = total * 2 + (10 if character in "xX" else int(character))
    return total % 11 == 1


def date_ok(digits: str) -> bool:
    """Whether YYMMDD can be a date, of whatever century."""
    return 1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) <= 31


def base58check_ok(code: str) -> bool:
    """A version byte, 20 bytes, and four of their SHA-256 taken twice, in Base58."""
    number = 0
    for character in code:
        number = number * 58 + BASE58[character]
    if number.bit_length() > 200:
        return False
    raw = number.to_bytes(25, "big")
    zeros, ones = 25 - len(raw.lstrip(b"\0")), len(code) - len(code.lstrip("1"))
    return zeros == ones and hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def bech32_ok(prefix: str, data: str) -> bool:
    """BIP 173 and 350: the polynomial checksum over prefix and data, both lower case."""
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    if any(c not in BECH32 for c in data):
        return False
    check = 1
    for value in [*values, *(BECH32[c] for c in data)]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(BECH32_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check == BECH32_ENDS[min(BECH32[data[0]], 1)]
