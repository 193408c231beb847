"""Numbers that money moves by: payment cards, bank accounts, cryptocurrency addresses."""

import re
from collections.abc import Iterator

from libertas.curate.privacy.checks import base58check_ok, bech32_ok, iban_ok, luhn_ok
from libertas.curate.privacy.spans import NumberRun, PrivateSpan, joins, stands_alone

CARD = re.compile(
    r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?![0-9])|3[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5}(?![0-9])"
    r"|(?<![0-9])(?:[0-9]{14,16}|62[0-9]{17})(?![0-9])"
)
CARD_ISSUERS = (
    ("Visa", re.compile(r"4[0-9]{15}\Z")),
    ("Mastercard", re.compile(r"(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}\Z")),
    ("American Express", re.compile(r"3[47][0-9]{13}\Z")),
    ("Discover", re.compile(r"(?:6011[0-9]{2}|65[0-9]{4}|64[4-9][0-9]{3})[0-9]{10}\Z")),
    ("JCB", re.compile(r"35(?:2[89]|[3-8][0-9])[0-9]{12}\Z")),
    ("UnionPay", re.compile(r"62(?:[0-9]{14}|[0-9]{17})\Z")),
    ("Diners Club", re.compile(r"3(?:0[0-5]|[689][0-9])[0-9]{11}\Z")),
)
"""Ranges of issuers' numbers (ISO/IEC 7812), as the card schemes publish them."""
IBAN_REGISTRY = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
    "YE30"
)
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in IBAN_REGISTRY.split()}
"""Characters of an IBAN by country: SWIFT's IBAN registry."""
BASE58_ADDRESS = re.compile(r"[13ADLMTX][1-9A-HJ-NP-Za-km-z]{25,34}+")
"""Begins as addresses of Bitcoin, Dogecoin, Litecoin, Tron and Dash do; `stands_alone` is asked afterwards."""
BECH32_ADDRESS = re.compile(r"(bc|tb|ltc)1([02-9ac-hj-np-z]{20,80}+)")
BECH32_STEMS = ("bc1", "tb1", "ltc1")
ETHEREUM = re.compile(r"0x[0-9a-fA-F]{40}(?!\w)")


def cards(run: NumberRun) -> Iterator[PrivateSpan]:
    """Payment cards by issuer's range and check digit."""
    for match in CARD.finditer(run.window):
        digits = match[0].replace(" ", "").replace("-", "")
        issuer = next((name for name, numbers in CARD_ISSUERS if numbers.match(digits)), None)
        if issuer and luhn_ok(digits) and len(set(digits)) > 1 and _is_a_card(run.window, match):
            yield PrivateSpan(run.first + match.start(), run.first + match.end(), "card", issuer)


def _is_a_card(window: str, match: re.Match[str]) -> bool:
    """Whether digits that pass the check are no part of a path, a fraction or a round number."""
    separator = match[1] or match[2] or "-/"
    if separator == "-/" and match[0].endswith("0000"):  # a sum, a factorial
        return False
    return stands_alone(window, *match.span(), separator) and window[match.start() - 1 : match.start()] != "/"


def ibans(text: str, start: int) -> Iterator[PrivateSpan]:
    """The IBAN that begins here, whole or in groups of four, by length and check digits; also by single spaces."""
    length = IBAN_LENGTHS.get(text[start : start + 2], 0)
    end = start
    taken: list[str] = []
    while end < len(text) and len(taken) < length:
        character = text[end]
        if character in " \u00a0":
            if len(taken) % 4:
                return
        elif character.isascii() and (character.isdigit() or character.isupper()):
            taken.append(character)
        else:
            return
        end += 1
    if length and len(taken) == length and not joins(text[end : end + 1]) and iban_ok("".join(taken)):
        yield PrivateSpan(start, end, "iban", text[start : start + 2])


def crypto_addresses(text: str) -> Iterator[PrivateSpan]:
    """Addresses whose checksum is right, and Ethereum's, which need none."""
    for match in BASE58_ADDRESS.finditer(text):
        if _is_a_word(text, *match.span()) and base58check_ok(match[0]):
            yield PrivateSpan(*match.span(), "crypto", "Base58Check")
    for match in ETHEREUM.finditer(text):
        if _is_a_word(text, *match.span()) and len(set(match[0])) > 8:
            yield PrivateSpan(*match.span(), "crypto", "Ethereum")
    if any(stem in text for stem in BECH32_STEMS):
        for match in BECH32_ADDRESS.finditer(text):
            if _is_a_word(text, *match.span()) and bech32_ok(match[1], match[2]):
                yield PrivateSpan(*match.span(), "crypto", "Bech32")


def _is_a_word(text: str, start: int, end: int) -> bool:
    return not (start and joins(text[start - 1])) and not joins(text[end : end + 1])
