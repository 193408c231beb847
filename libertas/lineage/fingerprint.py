"""Hashes: of bytes, of files, of code, and the fingerprint that says whether work can be reused."""

import ast
import dataclasses
import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
from blake3 import blake3

HASH_PREFIX = "b3:"
"""Hashes carry their algorithm, so that a later change of it is seen instead of splitting identities in silence."""


def digest(data: bytes) -> str:
    """BLAKE3 of some bytes, tagged: `b3:` and 64 hexadecimal digits."""
    return HASH_PREFIX + blake3(data).hexdigest()


def file_digest(path: Path) -> str:
    """BLAKE3 of a file's content, tagged; reads through a memory map, so large files cost no memory."""
    hasher = blake3(max_threads=blake3.AUTO)
    hasher.update_mmap(path)
    return HASH_PREFIX + hasher.hexdigest()


def canonical(value: Any) -> bytes:
    """The one JSON spelling of a value: sorted keys, two-space indent, final newline."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def execution(default: Any) -> Any:
    """A config field that says how to run (workers, device), not what to compute: left out of fingerprints."""
    return dataclasses.field(default=default, metadata={"identity": False})


def resolved(config: Any) -> dict[str, Any]:
    """A config dataclass as plain JSON values, all fields included."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def identity(config: Any) -> dict[str, Any]:
    """The fields that decide the result: no paths (inputs speak for themselves), no `execution` fields."""
    return {
        f.name: _plain(getattr(config, f.name))
        for f in dataclasses.fields(config)
        if f.metadata.get("identity", True) and not _is_path(getattr(config, f.name))
    }


def _is_path(value: Any) -> bool:
    return isinstance(value, Path) or (isinstance(value, tuple) and any(isinstance(v, Path) for v in value))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return resolved(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


UNCOUNTED = ("errors", "spelling", "terminal", "engine", "lineage", "stages")
"""Parts of libertas that say how to run, store and speak, not what to compute."""

IMPORT = re.compile(rb"^[ \t]*((?:from|import)[ \t][^(\n]*(?:\([^)]*\))?)", re.MULTILINE)


@cache
def code_digest(module: str) -> str:
    """Hash of the source of a module and of every module of libertas that it imports, directly or not.

    A stage's result depends on this code, so it is part of the stage's fingerprint. What a page is drawn with (a folder
    `static` beside a module) counts as well, and so does C code beside a module, compiled or not.
    """
    hasher = blake3()
    for name, source in sorted(_imported(module).items()):
        hasher.update(f"{name}\n".encode() + source.read_bytes())
        for file in sorted([*source.parent.glob("static/*"), *source.parent.glob("*.[ch]")]):
            hasher.update(f"{file.name}\n".encode() + file.read_bytes())
    return HASH_PREFIX + hasher.hexdigest()


def _imported(module: str) -> dict[str, Path]:
    """Source files by module name: `module` itself and what it imports of its own package."""
    package = module.partition(".")[0]
    found: dict[str, Path] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        parts = name.split(".")
        if name in found or parts[0] != package or (parts[1:2] and parts[1] in UNCOUNTED):
            continue
        source = _find(name)
        if source is None:
            continue  # a name imported from a module, not a module
        found[name] = source
        queue += _names_in(found[name].read_bytes())
    return found


def _names_in(source: bytes) -> list[str]:
    """What some source imports; only such statements are parsed, for parsing all takes 0.15 seconds for a stage."""
    names: list[str] = []
    for statement in IMPORT.findall(source):
        try:
            (node,) = ast.parse(statement).body
        except (SyntaxError, ValueError):  # a sentence that begins with "from" or "import"
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return names


def _find(name: str) -> Path | None:
    """The source of a module; None for other names. Nothing is imported but the package at its root."""
    package, *inside = name.split(".")
    root = find_spec(package)
    if root is None or root.origin is None:
        return None
    path = Path(root.origin).parent.joinpath(*inside)
    sources = (path / "__init__.py", path.with_suffix(".py")) if inside else (Path(root.origin),)
    return next((source for source in sources if source.is_file()), None)
