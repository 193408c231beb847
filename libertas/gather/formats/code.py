"""Source code: its language, its license, and which files nobody wrote or wrote here.

A file that stands alone is packed as it lies, as `text/x-python` or `text/x-source-rust`. Where its license stands in
another file of its tree, the piece is a JSON object of the type `application/x-source+json`: `text`,
`programming_language` and `license`. Licenses are named by their SPDX identifiers (spdx.org/licenses).
"""

import re
from collections.abc import Mapping
from pathlib import PurePath

import orjson

from libertas.document import Drop
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.formats import CODE_TYPE
from libertas.gather.normalize import LINE_ENDS, decode

SOURCE_FILE = "application/x-source+json"
PYTHON_TYPE = "text/x-python"
RULE = "code"

_SUFFIXES = {
    "ada": "adb ads",
    "assembly": "asm s",
    "c": "c h",
    "clojure": "clj cljc cljs",
    "cmake": "cmake",
    "cpp": "cc cpp cxx c++ hh hpp hxx h++ ipp",
    "csharp": "cs",
    "css": "css scss sass less",
    "cuda": "cu cuh",
    "d": "d",
    "dart": "dart",
    "elixir": "ex exs",
    "elm": "elm",
    "erlang": "erl hrl",
    "fortran": "f f77 f90 f95 f03 f08 for",
    "fsharp": "fs fsi fsx",
    "go": "go",
    "groovy": "groovy gradle",
    "haskell": "hs lhs",
    "isabelle": "thy",
    "java": "java",
    "javascript": "js mjs cjs jsx",
    "julia": "jl",
    "kotlin": "kt kts",
    "lean": "lean",
    "lisp": "lisp lsp el scm ss rkt",
    "lua": "lua",
    "makefile": "mk mak",
    "nim": "nim",
    "nix": "nix",
    "ocaml": "ml mli",
    "pascal": "pas",
    "perl": "pl pm",
    "php": "php",
    "powershell": "ps1 psm1",
    "protobuf": "proto",
    "python": "py pyi pyx pxd",
    "r": "r",
    "ruby": "rb rake gemspec",
    "rust": "rs",
    "scala": "scala sc",
    "shell": "sh bash zsh fish ksh",
    "solidity": "sol",
    "sql": "sql",
    "swift": "swift",
    "tcl": "tcl",
    "typescript": "ts tsx mts cts",
    "verilog": "sv svh vh",
    "vhdl": "vhd vhdl",
    "vue": "vue svelte",
    "zig": "zig",
}
LANGUAGES: Mapping[str, str] = {f".{e}": name for name, endings in _SUFFIXES.items() for e in endings.split()}
"""Languages by file ending."""
NAMES = {
    "makefile": "makefile",
    "gnumakefile": "makefile",
    "dockerfile": "dockerfile",
    "cmakelists.txt": "cmake",
    "rakefile": "ruby",
    "gemfile": "ruby",
}
INTERPRETERS = {
    "sh": "shell",
    "bash": "shell",
    "zsh": "shell",
    "dash": "shell",
    "ksh": "shell",
    "node": "javascript",
} | {name: name for name in ("python", "perl", "ruby", "lua", "php", "tcl", "groovy", "julia")}
SHEBANG = re.compile(rb"#![ \t]{0,9}(?:\S{0,200}/)?(?:env[ \t]{1,9}(?:-S[ \t]{1,9})?)?([A-Za-z]{1,20})")

_LOCK_FILES = (
    "package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock cargo.lock poetry.lock pdm.lock uv.lock "
    "pipfile.lock conda-lock.yml gemfile.lock composer.lock go.sum mix.lock pubspec.lock flake.lock packages.lock.json "
    "podfile.lock package.resolved gradle.lockfile"
)
LOCK_FILES = frozenset(_LOCK_FILES.split())
"""Written by package managers, in lower case."""
_VENDORED = (
    "node_modules bower_components jspm_packages vendor vendors vendored _vendor third_party third-party thirdparty "
    "3rdparty 3rd_party site-packages dist-packages external_libs godeps carthage pods .yarn"
)
VENDORED = frozenset(_VENDORED.split())
"""Folders of code that was taken over from elsewhere, in lower case."""
GENERATED_NAME = re.compile(
    r"(?:_pb2(?:_grpc)?\.pyi?|\.pb\.(?:go|cc|h)|\.g\.(?:dart|cs)|\.designer\.cs|_generated\.\w+|\.generated\.\w+|\.freezed\.dart)$"
)
GENERATED = re.compile(
    r"\bdo not (?:edit|modify)\b|@generated\b|\bcode generated (?:by|from)\b|(?-i:\bAUTO-?GENERATED\b)"
    r"|\b(?:file|code|module|script|source|header|class)\b.{0,40}\bauto(?:matically)?[- ]?generated\b"
    r"|\bauto(?:matically)?[- ]?generated\b.{0,20}\b(?:by|from|with|using|file|code)\b"
    r"|\bgenerated (?:by|from|with) (?:the )?"
    r"(?:protocol buffer|swig|cython|bison|flex|antlr|thrift|autoconf|automake|f2c|yacc)",
    re.IGNORECASE,
)
GENERATED_LINES = 12
"""A generator says so in the first lines of a file; lower down the words may be about something else."""
MINIFIED_NAME = re.compile(r"[.-]min\.(?:js|css|mjs)$")
MINIFIED_LANGUAGES = frozenset({"javascript", "css", "typescript"})
MINIFIED_MEAN = 110
"""Mean characters of a line above which scripts and styles are minified (github/linguist, generated.rb: 110)."""
LONGEST_LINE = 20_000
"""No person writes a line of so many characters, in any language: data, or the output of a tool."""

LICENSE_NAME = re.compile(
    r"(?:licen[cs]es?|copying|unlicense)(?:[.-](?:lesser|\w{1,20}))?(?:\.(?:txt|md|rst))?$", re.IGNORECASE
)
SPDX = re.compile(r"SPDX-License-Identifier:[ \t]{0,9}([\w.+() -]{1,120})")
SPDX_LINES = 40
LICENSES: tuple[tuple[str, str, str, str], ...] = (
    ("AGPL-3.0", "gnu affero general public license version 3", "", ""),
    ("LGPL-3.0", "gnu lesser general public license version 3", "", ""),
    ("LGPL-2.1", "gnu lesser general public license version 2.1", "", ""),
    ("GPL-3.0", "gnu general public license version 3", "", ""),
    ("GPL-2.0", "gnu general public license version 2", "", ""),
    ("Apache-2.0", "apache license version 2.0", "", ""),
    ("Apache-2.0", "version 2.0 january 2004 http://www.apache.org/licenses", "", ""),
    ("Apache-2.0", "licensed under the apache license", "", ""),
    ("MPL-2.0", "mozilla public license version 2.0", "", ""),
    ("MPL-2.0", "mozilla public license v. 2.0", "", ""),
    ("EPL-2.0", "eclipse public license - v 2.0", "", ""),
    ("EPL-1.0", "eclipse public license - v 1.0", "", ""),
    ("EUPL-1.2", "european union public licence v. 1.2", "", ""),
    ("BSL-1.0", "boost software license - version 1.0", "", ""),
    ("Unlicense", "free and unencumbered software released into the public domain", "", ""),
    ("CC0-1.0", "cc0 1.0 universal", "", ""),
    ("CC-BY-SA-4.0", "attribution-sharealike 4.0 international", "", ""),
    ("CC-BY-4.0", "attribution 4.0 international", "", ""),
    ("WTFPL", "do what the fuck you want to public license", "", ""),
    ("Artistic-2.0", "the artistic license 2.0", "", ""),
    ("PSF-2.0", "python software foundation license version 2", "", ""),
    ("Zlib", "altered source versions must be plainly marked", "", ""),
    ("MIT", "to deal in the software without restriction", "", ""),
    ("ISC", "distribute this software for any purpose with or without fee", "above copyright notice", ""),
    ("0BSD", "distribute this software for any purpose with or without fee", "", "above copyright notice"),
    ("BSD-4-Clause", "redistribution and use in source and binary forms", "advertising materials mentioning", ""),
    (
        "BSD-3-Clause",
        "redistribution and use in source and binary forms",
        "endorse or promote products",
        "advertising materials",
    ),
    ("BSD-2-Clause", "redistribution and use in source and binary forms", "", "endorse or promote products"),
)
"""Identifier, words that only this license has, words that it must have too, and words that it must not have. GNU
licenses get the identifiers without `-only` and `-or-later`: their own text does not say which was meant."""
LICENSE_CHARACTERS = 100_000


def code_language(name: str, head: bytes) -> str | None:
    """The programming language of a file, by its name, else by the interpreter that its first line asks for."""
    base = name.rpartition("/")[2].lower()
    known = NAMES.get(base) or LANGUAGES.get(PurePath(base).suffix)
    if known is None and (asked := SHEBANG.match(head)):
        known = INTERPRETERS.get(asked[1].decode().lower())
    return known


def code_type(language: str) -> str:
    """Media type of a file of source code."""
    return PYTHON_TYPE if language == "python" else CODE_TYPE + language


def code_refusal(name: str, language: str | None, text: str) -> Drop | None:
    """Why a file of a tree is not what a person wrote in it, or None.

    Args:
        name: path below the root of the tree.
        language: of the code, or None for other files, of which only lock files are refused.
        text: what it holds.
    """
    parts = name.lower().split("/")
    if parts[-1] in LOCK_FILES:
        return Drop(RULE, "lock file", parts[-1])
    if language is None:
        return None
    if folder := next((part for part in parts[:-1] if part in VENDORED), None):
        return Drop(RULE, "vendored", folder)
    if MINIFIED_NAME.search(parts[-1]):
        return Drop(RULE, "minified", parts[-1])
    if GENERATED_NAME.search(parts[-1]):
        return Drop(RULE, "generated", parts[-1])
    lines = text.splitlines() or [""]
    if said := GENERATED.search("\n".join(line[:300] for line in lines[:GENERATED_LINES])):
        return Drop(RULE, "generated", said[0])
    mean = len(text) / len(lines)
    if language in MINIFIED_LANGUAGES and mean > MINIFIED_MEAN:
        return Drop(RULE, "minified", round(mean))
    if (longest := max(map(len, lines))) > LONGEST_LINE:
        return Drop(RULE, "line too long", longest)
    return None


def license_of(text: str) -> str | None:
    """SPDX identifier of the license whose words a text has; of several, the one that comes first."""
    words = " ".join(re.sub(r"[\"'“”‘’`*#(),]+", " ", text[:LICENSE_CHARACTERS].lower()).split())
    found = [
        (at, name)
        for name, phrase, needed, barred in LICENSES
        if (at := words.find(phrase)) >= 0 and needed in words and not (barred and barred in words)
    ]
    return min(found, key=lambda f: f[0])[1] if found else None


def declared_license(text: str) -> str | None:
    """The SPDX expression that a file declares in its first lines."""
    found = SPDX.search("\n".join(text[:20_000].split("\n")[:SPDX_LINES]))
    return found[1].strip().rstrip("-").strip() or None if found else None


def source_piece(text: str, language: str, license: str) -> bytes:
    """The body of a record for a file whose license stands elsewhere."""
    return orjson.dumps({"programming_language": language, "license": license, "text": text})


def read_code(body: bytes, mode: ReadMode, *, language: str) -> Extracted | Drop:
    """A file of source code as it is, with the license that it declares."""
    return _read(decode(body, None, html=False), {"programming_language": language})


def read_source(body: bytes, mode: ReadMode) -> Extracted | Drop:
    """A file of a tree, with the license that it declares or else that of its tree."""
    piece = orjson.loads(body)
    return _read(piece["text"], {"programming_language": piece["programming_language"], "license": piece["license"]})


def _read(text: str, meta: dict[str, str]) -> Extracted:
    declared = declared_license(text)
    return Extracted(LINE_ENDS.sub("\n", text).lstrip("\ufeff"), "", meta | ({"license": declared} if declared else {}))
