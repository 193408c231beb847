"""Keys that open things: tokens with a form of their own, private keys, and random values given to a secret's name."""

import re
from collections import Counter
from collections.abc import Iterator
from math import log2
from operator import ne

from libertas.curate.privacy.spans import PrivateSpan

TOKENS = tuple(
    (stem, name, re.compile(pattern))
    for stem, name, pattern in (
        ("AKIA", "AWS", r"AKIA[A-Z2-7]{16}(?![A-Za-z0-9])"),
        ("ASIA", "AWS", r"ASIA[A-Z2-7]{16}(?![A-Za-z0-9])"),
        ("ghp_", "GitHub", r"ghp_[A-Za-z0-9]{36,251}"),
        ("gho_", "GitHub", r"gho_[A-Za-z0-9]{36,251}"),
        ("ghu_", "GitHub", r"ghu_[A-Za-z0-9]{36,251}"),
        ("ghs_", "GitHub", r"ghs_[A-Za-z0-9]{36,251}"),
        ("ghr_", "GitHub", r"ghr_[A-Za-z0-9]{36,251}"),
        ("github_pat_", "GitHub", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
        ("glpat-", "GitLab", r"glpat-[A-Za-z0-9_\-]{20,100}"),
        ("xox", "Slack", r"xox[abeoprs]-[A-Za-z0-9]{8,20}-[A-Za-z0-9\-]{10,120}"),
        ("AIza", "Google", r"AIza[A-Za-z0-9_\-]{35}(?![A-Za-z0-9_\-])"),
        ("k_live_", "Stripe", r"k_live_[A-Za-z0-9]{16,247}"),
        ("eyJ", "JWT", r"eyJ[A-Za-z0-9_\-]{10,4000}+\.eyJ[A-Za-z0-9_\-]{10,4000}+\.[A-Za-z0-9_\-]{16,4000}+"),
        ("npm_", "npm", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
        ("pypi-AgE", "PyPI", r"pypi-AgE[A-Za-z0-9_\-]{50,300}+"),
        ("SG.", "SendGrid", r"SG\.[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43}(?![A-Za-z0-9_\-])"),
        ("hf_", "Hugging Face", r"hf_[A-Za-z]{34}(?![A-Za-z0-9])"),
        ("sk-", "OpenAI or Anthropic", r"sk-(?:proj-|svcacct-|ant-[a-z0-9]{2,8}-)?[A-Za-z0-9_\-]{40,200}+"),
        (":AA", "Telegram", r":AA[A-Za-z0-9_\-]{33}(?![A-Za-z0-9_\-])"),
    )
)
"""What to look for, whose it is, and the whole form: the issuers' documentation. `k_live_` is `sk_`, `rk_` or `pk_`."""
BEFORE_TOKEN = {"Stripe": re.compile(r"(?<![A-Za-z0-9])[sr]\Z"), "Telegram": re.compile(r"(?<![0-9])[0-9]{8,10}\Z")}
"""What must stand before the stem and belongs to the token."""
LONGEST_BEFORE = 11
PEM_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
PEM_BODY = re.compile(
    r"(?:\s*+(?:Proc-Type|DEK-Info|Version|Comment)(?:(?!-----).){0,100}\n){0,8}+[\sA-Za-z0-9+/=\\]{64,}+"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
)
"""To its end, or as far as it goes where that is missing; it never runs into the next beginning, so no text is read
twice."""
IN_URL = re.compile(r"://(?P<secret>[^\s/:@\"'<>{}$%]{1,64}:[^\s/@\"'<>{}$]{3,128}@)")
"""User and password in a URL, RFC 3986 section 3.2.1."""
NAME_STEMS = ("assw", "ASSW", "ecret", "ECRET", "oken", "OKEN", "key", "Key", "KEY", "earer ")
"""Parts of names that secrets are given to, without first letters so that case matters less."""
KEY_STEMS = ("key", "Key", "KEY")
KEY_OF = re.compile(r"(?:api|access|private|auth|encryption|account|signing|master|secret)[_\-. ]?\Z", re.IGNORECASE)
"""What a name that ends in `key` must begin with: others are keys of dictionaries."""
GIVEN = re.compile(
    r"[A-Za-z]{1,6}[\w\-]{0,24}[\"'\]]{0,2}[ \t]{0,3}(?::=|=>|[:=]|(?<=earer))[ \t]{0,3}[\"'`]?"
    r"(?P<value>[A-Za-z0-9+/=_\-.!@#$%^&*~()]{16,200}+)"
)
LEAST_BITS, LEAST_CHANGES = 3.0, 0.4
"""Entropy of a random value in bits per character, and the share of neighbours that are of different classes
(lower case, upper case, digit, other): 0.66 in random letters and digits, below 0.4 in names made of words."""
LEAST_CHANGES_HEXADECIMAL = 0.2
"""The share is 0.47 in random hexadecimal digits."""
DIGIT = re.compile("[0-9]")
CLASSES = str.maketrans(
    {c: "l" if c.islower() else "u" if c.isupper() else "d" if c.isdigit() else "o" for c in map(chr, range(128))}
)
"""Character of a value -> its class."""
CALL = re.compile(r"[A-Za-z_]\w{3}\(|\w\([^()]*\)")
HEXADECIMAL_VALUE = re.compile(r"[0-9a-f]{32,}|[0-9A-F]{32,}")


def keys(text: str) -> Iterator[PrivateSpan]:
    """Secrets: tokens, private keys, passwords in URLs, random values of variables that are named so."""
    underscores = "_" in text
    for stem, name, pattern in TOKENS:
        if "_" in stem and not underscores:
            continue
        for at in _places(text, stem):
            span = _token(text, at, name, pattern)
            if span:
                yield span
    if "-----BEGIN " in text:
        yield from _private_keys(text)
    for match in IN_URL.finditer(text):
        yield PrivateSpan(*match.span("secret"), "key", "credentials in a URL")
    for stem in NAME_STEMS:
        for at in _places(text, stem):
            given = GIVEN.match(text, at)
            if stem in KEY_STEMS and not KEY_OF.search(text, max(0, at - 11), at):
                continue
            if given and is_random(given["value"]):
                yield PrivateSpan(*given.span("value"), "key", "value of a secret's name")


def _places(text: str, stem: str) -> Iterator[int]:
    at = text.find(stem)
    while at >= 0:
        yield at
        at = text.find(stem, at + 1)


def _token(text: str, at: int, name: str, pattern: re.Pattern[str]) -> PrivateSpan | None:
    if name not in BEFORE_TOKEN and at and text[at - 1].isascii() and text[at - 1].isalnum():
        return None
    match = pattern.match(text, at)
    if match is None:
        return None
    start = at
    if name in BEFORE_TOKEN:
        before = BEFORE_TOKEN[name].search(text, max(0, at - LONGEST_BEFORE), at)
        if before is None:
            return None
        start = before.start()
    body = match[0][len("sk-") :]
    if not DIGIT.search(body) and name not in ("Hugging Face", "AWS"):
        return None
    return PrivateSpan(start, match.end(), "key", name)


def _private_keys(text: str) -> Iterator[PrivateSpan]:
    for begin in PEM_BEGIN.finditer(text):
        body = PEM_BODY.match(text, begin.end())
        if body:
            yield PrivateSpan(begin.start(), body.end(), "key", "private key")


def is_random(value: str) -> bool:
    """Whether a value looks drawn by lot: letters and digits, many different, changing class often."""
    classes = value.translate(CLASSES)
    if "d" not in classes or not ("l" in classes or "u" in classes) or CALL.search(value):
        return False
    least = LEAST_CHANGES_HEXADECIMAL if HEXADECIMAL_VALUE.fullmatch(value) else LEAST_CHANGES
    if sum(map(ne, classes, classes[1:])) < least * (len(value) - 1):
        return False
    return -sum(n / len(value) * log2(n / len(value)) for n in Counter(value).values()) >= LEAST_BITS
