"""Templates of wikis that stand for words, put into words; all others are left out.

Names and parameters as on the English Wikipedia, whose common templates many other wikis have copied with their names.
"""

import re

NAMED = re.compile(r"\s*([\w -]{1,30}?)\s*=")
_FIRST = (
    "nowrap|nobr|nowr|small|smaller|big|larger|em|strong|bold|italic|smallcaps|sc|sc2|abbr|abbrlink|ill|code|mono|var|mvar"
    "|interlanguage link|math|visible anchor|sic|proper name|angbr|overline|underline|sub|as written|tooltip|ship"
    "|nihongo|clarify span|korean|linktext|not a typo"
)
FIRST = frozenset(_FIRST.split("|"))
"""Templates that show their first argument."""
LAST = frozenset(
    {"lang", "langx", "transl", "transliteration", "color", "colour", "font color", "wikt-lang", "rtl-lang"}
)
"""Templates that show their last argument."""
LISTS = frozenset(
    {"hlist", "ubl", "unbulleted list", "flatlist", "plainlist", "plain list", "cslist", "comma separated"}
)
QUOTES = frozenset(
    {
        "quote",
        "blockquote",
        "cquote",
        "quotation",
        "quote box",
        "bquote",
        "poemquote",
        "quote frame",
        "zitat",
        "citation bloc",
    }
)
SIGNS = {
    "!": "|",
    "=": "=",
    "'": "'",
    "ndash": "–",
    "en dash": "–",
    "snd": " – ",
    "spnd": " – ",
    "spaced ndash": " – ",
    "spaced en dash": " – ",
    "mdash": "—",
    "em dash": "—",
    "nbsp": " ",
    "spaces": " ",
    "·": " · ",
    "dot": " · ",
    "bull": " • ",
    "times": "×",
    "minus": "−",
    "pi": "π",
    "ellipsis": "…",
    "clear": "",
}
BETWEEN = {"to", "and", "or", "-", "–", "x", "by", "+/-", "±", "to(-)", "and(-)", "xx", "×"}
"""Words that `convert` takes between two values."""


def template_text(arguments: list[str]) -> tuple[str, str]:
    """What a template says, and how it is meant: `words`, `math` (LaTeX) or `quote` (a block of its own).

    Args:
        arguments: the template's name and what follows it, split at `|`.
    """
    name = " ".join(arguments[0].replace("_", " ").split()).lower()
    if ":" in name and name.partition(":")[0].lstrip("#") in ("formatnum", "lc", "uc", "lcfirst", "ucfirst"):
        name, _, value = arguments[0].strip().partition(":")
        return value, "words"
    if name in SIGNS:
        return SIGNS[name], "words"
    given, named = _sorted(arguments[1:])
    if name in QUOTES:
        said = given[0] if given else named.get("text") or named.get("quote") or named.get("1", "")
        return said, "quote" if said.strip() else "words"
    if name == "tmath":
        return (given[0].strip(), "math") if given else ("", "words")
    if name in FIRST and (given or "1" in named):
        return (given or [named["1"]])[0], "words"
    if (name in LAST or name.startswith("lang-")) and given:
        chosen = given[min(1, len(given) - 1)] if name in ("lang", "langx", "wikt-lang") else given[-1]
        return (given[0] if name.startswith("lang-") else chosen), "words"
    if name in LISTS:
        return ", ".join(g.strip() for g in given if g.strip()), "words"
    return _figures(name, [g.strip() for g in given], named), "words"


def _sorted(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    given: list[str] = []
    named: dict[str, str] = {}
    for argument in arguments:
        if key := NAMED.match(argument):
            named[key[1].strip().lower()] = argument[key.end() :].strip()
        else:
            given.append(argument)
    return given, named


def _figures(name: str, given: list[str], named: dict[str, str]) -> str:
    """Templates that write numbers; empty for every other one."""
    if not given:
        return ""
    if name in ("convert", "cvt"):
        last = 0
        while last + 2 < len(given) and given[last + 1].lower() in BETWEEN:
            last += 2
        return " ".join(given[: last + 2])
    if name in ("frac", "sfrac", "fraction"):
        return {1: "1/{0}", 2: "{0}/{1}"}.get(len(given), "{0} {1}/{2}").format(*given[:3])
    if name == "val":
        power = f"×10^{named['e']}" if named.get("e") else ""
        unit = f" {named.get('u') or named.get('ul')}" if named.get("u") or named.get("ul") else ""
        return given[0] + power + unit
    if name in ("e", "10^"):
        return ("×10^" if name == "e" else "10^") + given[0]
    if name == "sup":
        return f"^{given[0]}"
    if name in ("circa", "c.", "ca."):
        return " – ".join(f"c. {g}" for g in given[:2])
    if name == "as of":
        return f"As of {'-'.join(given[:3])}"
    if name in ("birth date", "death date", "start date", "end date", "date"):
        return "-".join(part.zfill(2) for part in given[:3])
    return ""
