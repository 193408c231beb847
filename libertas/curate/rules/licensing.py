"""Whether a license is on a list of allowed ones, by SPDX expressions (SPDX specification 3.0, annex B)."""

import re

TOKEN = re.compile(r"\(|\)|[^\s()]+")
MOST_TOKENS = 200
"""An expression with more is allowed by no list."""
OLD_NAMES = re.compile(r"^((?:a|l)?gpl-\d\.\d|gfdl-\d\.\d)(\+?)$")
"""Names of the SPDX list that were replaced by `-only` and `-or-later` (version 3.0, 2017), in lower case."""


def license_key(name: str) -> str:
    """An SPDX identifier or the address of a license, as it is compared: in lower case, old names replaced."""
    name = name.strip().lower().removeprefix("https://").removeprefix("http://").rstrip("/")
    old = OLD_NAMES.match(name)
    return f"{old[1]}-{'or-later' if old[2] else 'only'}" if old else name


def is_allowed(expression: str, allowed: frozenset[str]) -> bool:
    """Whether the terms allow use under a list: of `OR` one side must, of `AND` both; an exception (`WITH`) is ignored.

    Args:
        expression: `MIT`, `(MIT OR Apache-2.0) AND CC-BY-4.0`, or an address.
        allowed: keys of licenses, as `license_key` gives them.
    """
    if license_key(expression) in allowed:
        return True
    tokens = TOKEN.findall(expression)
    if not tokens or len(tokens) > MOST_TOKENS:
        return False
    # An operator's operands stand on `values` until it is applied; AND binds more strongly than OR.
    values: list[bool] = []
    operators: list[str] = []

    def apply() -> bool:
        if len(values) < 2:
            return False
        right, left = values.pop(), values.pop()
        values.append((left and right) if operators.pop() == "AND" else (left or right))
        return True

    skip = False
    for token in tokens:
        word = token.upper()
        if skip:
            skip = False
        elif word == "WITH":
            skip = True
        elif word in ("AND", "OR"):
            while operators and operators[-1] in (("AND",) if word == "AND" else ("AND", "OR")):
                if not apply():
                    return False
            operators.append(word)
        elif token == "(":
            operators.append(token)
        elif token == ")":
            while operators and operators[-1] != "(":
                if not apply():
                    return False
            if not operators:
                return False
            operators.pop()
        else:
            values.append(license_key(token) in allowed)
    while operators:
        if operators[-1] == "(" or not apply():
            return False
    return values == [True]
