"""Lab files: a whole life in one TOML file, a table per stage.

A table is named after its stage, `[train]`, or after its stage and a name of your choice, `[gather.web]`, where a stage
runs more than once. Stages run in the order in which they first appear. Paths are relative to the folder that the lab
runs in (words such as `python:source` are no paths). What already exists with the same fingerprint is reused.
"""

import dataclasses
import shutil
import time
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape

from libertas.errors import DifferentArtifact, UsageError
from libertas.lineage.artifact import PARTIAL
from libertas.lineage.manifest import is_artifact, read_manifest
from libertas.lineage.walk import brief
from libertas.spelling import nearest
from libertas.stages import STAGES, Stage, command_of
from libertas.terminal import printable, say

Tables = dict[str, Any]

WORDS = ("python:", "planted:")
"""How texts begin that stand where a path may stand and are none, such as `python:source`."""


@dataclass(frozen=True)
class LabStep:
    """One table of a lab, ready to run."""

    title: str
    """The table's name, such as `gather.web`."""
    stage: Stage
    config: Any


def read_lab(path: Path) -> Tables:
    """The tables of a lab file.

    Raises:
        UsageError: the file is absent, a directory, or not TOML.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist; expected a lab file such as labs/first.toml")
    if path.is_dir():
        raise UsageError(f"{path} is a directory; expected a lab file such as labs/first.toml")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # bad TOML, bad UTF-8, numbers and nesting beyond all bounds
        raise UsageError(f"{path} is not TOML: {error}; mend the file") from error


def plan(tables: Tables, into: Path, source: str) -> list[LabStep]:
    """The steps of a lab with all their settings checked; nothing runs yet.

    Args:
        tables: what `read_lab` returned.
        into: folder that relative paths start from.
        source: the file's name, for errors.

    Raises:
        UsageError: `into` is a file, there is no table, an unknown table or key, or a value of the wrong type; file,
            table, key and the nearest right spelling are named.
    """
    steps = []
    if into.exists() and not into.is_dir():
        raise UsageError(f"{into} is a file; expected a folder to run in; name another one with --into")
    if not tables:
        raise UsageError(f"{source} has no tables; expected one per stage, such as [gather]; see labs/first.toml")
    for name, table in tables.items():
        if name not in STAGES:
            raise UsageError(f"{source}: there is no stage {name!r} for the table [{name}]; {nearest(name, STAGES)}")
        if not isinstance(table, dict):
            raise UsageError(
                f"{source}: {name} is {table!r}; expected a table [{name}] with the settings of that stage"
            )
        stage = STAGES[name]
        fields = {f.name for f in dataclasses.fields(stage.config_type())}
        named = bool(table) and all(isinstance(v, dict) and k not in fields for k, v in table.items())
        for title, settings in ((f"{name}.{k}", v) for k, v in table.items()) if named else ((name, table),):
            steps.append(LabStep(title, stage, build(name, settings, into, f"{source} [{title}]")))
    return steps


def build(name: str, settings: Mapping[str, Any], into: Path, place: str) -> Any:
    """The settings of the stage `name` from plain TOML values; `place` is named in errors."""
    stage = STAGES[name]
    config = stage.config_type()
    hints = typing.get_type_hints(config)
    known = {f.name: f for f in dataclasses.fields(config)}
    for key in settings:
        if key not in known:
            raise UsageError(f"{place}: there is no setting {key!r}; {nearest(key, known)}")
    for key, field in known.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and key not in settings:
            raise UsageError(f"{place}: {key} is missing; add it (`{command_of(name)} --help`)")
    values = {k: _convert(v, hints[k], into, f"{place}: {k}") for k, v in settings.items()}
    for key in values.keys() & set(stage.text_paths):
        values[key] = tuple(text if text.startswith(WORDS) else str(into / text) for text in values[key])
    try:
        return config(**values)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


def _convert(value: Any, kind: Any, into: Path, place: str) -> Any:
    """A TOML value as the type a field wants."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _convert(value, next(a for a in arguments if a is not type(None)), into, place)
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(v, arguments[0], into, place) for v in value)
    if origin is dict and isinstance(value, dict):
        return {k: _convert(v, arguments[1], into, place) for k, v in value.items()}
    if kind is Path and isinstance(value, str):
        return into / value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and isinstance(value, kind) and (kind is bool) == isinstance(value, bool):
        return value
    wanted = "a list" if origin is tuple else "a table" if origin is dict else getattr(kind, "__name__", str(kind))
    wanted = {"Path": "a path in quotes", "str": "text in quotes", "int": "a whole number"}.get(wanted, wanted)
    raise UsageError(f"{place} is {value!r}; expected {wanted}")


def run(
    lab: Path, into: Path | None = None, fresh: bool = False, after: Callable[[LabStep, Any], None] | None = None
) -> Path:
    """Run a lab file; returns the folder it ran in.

    Args:
        lab: the TOML file.
        into: folder for everything it makes; by default one with the lab's name, in the current folder.
        fresh: make again what was made with other settings or by another version; what matches is reused.
        after: called with each finished step and its result.
    """
    folder = into or Path(lab.stem)
    run_steps(plan(read_lab(lab), folder, lab.name), fresh=fresh, after=after)
    return folder


def run_steps(steps: list[LabStep], fresh: bool = False, after: Callable[[LabStep, Any], None] | None = None) -> None:
    """Run planned steps in order, saying for each whether it was reused and what came out."""
    width = max(len(step.title) for step in steps)
    for step in steps:
        present = is_artifact(step.config.out)
        started = time.monotonic()
        try:
            result = step.stage.call(step.config)
        except DifferentArtifact:
            if not fresh:
                raise
            _remove(step.config.out)
            present = False
            result = step.stage.call(step.config)
        took = "reused" if present else f"{time.monotonic() - started:.1f} s"
        title = escape(printable(f"{step.title:{width}}"))
        say(f"  [bold]{title}[/bold]  {took:>8}  {brief(read_manifest(step.config.out))}")
        if after:
            after(step, result)


def _remove(out: Path) -> None:
    for folder in (out, out.with_name(out.name + PARTIAL)):
        if (folder.name.endswith(PARTIAL) and folder.is_dir()) or is_artifact(folder):
            shutil.rmtree(folder)
