"""Strings in known languages, out of unpacked Debian packages, wheels and the Declaration of Human Rights.

What the packages hold are translations of programs' messages, manuals and installation guides. Each string comes with
a class such as `sr-Latn` and the name of the package it came from.
"""

import gettext
import gzip
import html
import io
import json
import re
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from libertas.gather.ngrams import letters, main_script

ALIASES = {
    "no": "nb", "als": "gsw", "be-tarask": "be", "be-x-old": "be", "bat-smg": "sgs", "fiu-vro": "vro", "iw": "he",
    "zh-classical": "lzh", "zh-min-nan": "nan", "zh-yue": "yue", "roa-rup": "rup", "cbk-zam": "cbk", "in": "id",
    "ji": "yi", "fil": "tl", "zlm": "ms", "mo": "ro", "sh": "sr", "cnr": "sr", "prs": "fa", "kmr": "ku", "lah": "pnb",
    "fuf": "ff", "fuv": "ff", "fuc": "ff", "bik": "bcl", "gom-latn": "gom", "diq": "zza", "zyb": "za", "mhr": "chm",
    "nds-nl": "nds", "tw": "ak", "fat": "ak", "ekk": "et", "lvs": "lv", "nan": "", "gan": "", "hak": "", "hsn": "",
    "cjy": "", "hnj": "hmn", "kok": "gom", "kng": "kg", "tzm": "zgh", "shi": "zgh", "map-bms": "jv", "mvf": "mn",
    "simple": "en", "roa-tara": "nap", "knn": "gom",
}  # fmt: skip
"""Codes of translators and of the Declaration for what the labels call otherwise; empty: not told apart in writing."""
MACRO = {"qu": re.compile("^(qu.|qv.|qw.|qx.)$")}
"""Codes of single varieties that the labels take together."""
MARKUP = re.compile(
    r"<[^<>]{0,200}>|\{\{|\}\}|%\(\w+\)[sd]|%[\d$]*[a-z]|\{[^{}]{0,60}\}|\$\{?\w+\}?|&\w+;|\\f.|\\[a-z(]|https?:\S+|\w+:\w+[|}]|[_&~](?=\w)"
)
"""Placeholders, tags and accelerator keys."""
TROFF_TEXT = re.compile(r"^(?![.']).{30,}", re.MULTILINE)
PARAGRAPH = re.compile(r"<p>(.{40,2000}?)</p>", re.DOTALL)
QUOTED = re.compile(r"""=\s*'((?:[^'\\]|\\.){8,})';""")
VALUE = re.compile(r"^[\w.-]+\s*=\s*(.{8,})$", re.MULTILINE)
SHORTEST = 8
"""Characters of the shortest string that is used."""
ENGLISH_FROM = "de"
"""The originals of translations into this language, which has most of them, are the English strings."""


def code_of(locale: str) -> str:
    """The language of a locale such as `sr_RS@latin`, with script where the locale says so; empty: not used."""
    code = locale.replace("_", "-").replace("@", "-").lower()
    if code in ALIASES:
        return ALIASES[code]
    first, *rest = code.split("-")
    language = ALIASES.get(first, first)
    language = next((macro for macro, members in MACRO.items() if members.match(language)), language)
    if language == "zh":
        return "zh-Hant" if {"tw", "hk", "hant", "mo", "hani"} & set(rest) else "zh-Hans"
    return language if 2 <= len(language) <= 3 and language != "und" else ""


def strings(folder: Path, udhr: Path) -> Iterator[tuple[str, str, str]]:
    """Label, source and text of every usable string under `folder` and in the Declaration's paragraphs."""
    for source, code, text in chain(declaration(udhr), packages(folder)):
        plain = " ".join(MARKUP.sub(" ", html.unescape(text)).split())
        if code and len(plain) >= SHORTEST:
            script = main_script(letters(plain)[1])
            yield code if code.startswith("zh-") else f"{code}-{script}", source, plain


def declaration(path: Path) -> Iterator[tuple[str, str, str]]:
    """Paragraphs of the Universal Declaration of Human Rights; one JSON object a line."""
    for line in path.open(encoding="utf-8"):
        row = json.loads(line)
        yield "udhr", code_of(row["bcp47"] if row["bcp47"] != "als" else "sq"), row["text"]


def packages(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Every translation below a folder of packages unpacked side by side."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).parts[0]
        if path.suffix == ".mo" and "iso-codes" not in name:
            yield from ((name, code, text) for code, text in catalogue(path.read_bytes(), str(path)))
        elif path.suffix == ".json" and "i18n" in path.parts and path.stem not in ("qqq", "en"):
            yield from ((name, code_of(path.stem), text) for text in messages(path))
        elif path.suffix == ".xpi" or path.name == "locales.zip":
            yield from ((name, code, text) for code, text in archive(path))
        elif path.suffix == ".gz" and "/man/" in str(path):
            code = str(path).split("/man/")[1].split("/")[0]
            text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
            yield from ((name, code_of(code), line) for line in TROFF_TEXT.findall(text)[3:])
        elif path.suffix == ".html" and "installation-guide" in name:
            text = path.read_text("utf-8", "replace")
            yield from ((name, code_of(path.parent.name), p) for p in PARAGRAPH.findall(text))
        elif path.suffix == ".inc" and "localization" in path.parts:
            text = path.read_text("utf-8", "replace")
            yield from ((name, code_of(path.parent.name), p) for p in QUOTED.findall(text))


def catalogue(data: bytes, path: str) -> Iterator[tuple[str, str]]:
    """Translations that differ from the original in a compiled gettext catalogue."""
    where = re.search(r"/(?:locale|localization)/([^/]+)/|([a-z]{2,3}(?:_[A-Za-z_@]+)?)\.mo$", path)
    code = code_of((where[1] or where[2]) if where else "")
    if not code:
        return
    try:
        entries = gettext.GNUTranslations(io.BytesIO(data))._catalog.items()  # type: ignore[attr-defined]
    except (UnicodeDecodeError, OSError, ValueError, IndexError):
        return
    for original, text in entries:
        first = original[0] if isinstance(original, tuple) else original
        if first and text != first:
            yield code, text
            if code == ENGLISH_FROM:
                yield "en", first


def messages(path: Path) -> Iterator[str]:
    """MediaWiki's messages in one language."""
    found = json.loads(path.read_text("utf-8"))
    yield from (text for key, text in found.items() if not key.startswith("@") and isinstance(text, str))


def archive(path: Path) -> Iterator[tuple[str, str]]:
    """Translations in a zip: Firefox's `.ftl` and `.properties`, calibre's catalogues."""
    with zipfile.ZipFile(path) as members:
        for member in members.namelist():
            if member.endswith("messages.mo"):
                yield from catalogue(members.read(member), f"/locale/{member}")
            elif member.endswith((".ftl", ".properties")):
                code = code_of(path.name.removeprefix("langpack-").split("@")[0])
                text = members.read(member).decode("utf-8", "replace")
                yield from ((code, value) for value in VALUE.findall(text))
