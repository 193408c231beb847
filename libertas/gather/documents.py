"""Archives to a corpus: every record becomes a document or a drop with its reason.

Each archive is a task of its own, which makes one shard; an interrupted run goes on with the archives that are not
done. With one process, with many, or on a cluster, the same bytes come out.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from rich.markup import escape

from libertas.corpus import Corpus
from libertas.corpus.drops import DROPS
from libertas.engine import map_on_ray
from libertas.errors import LibertasError, UsageError
from libertas.gather.config import GatherConfig
from libertas.gather.extracted import ReadMode
from libertas.gather.inputs import inputs_of
from libertas.gather.meter import Meter
from libertas.gather.record import DAMAGE, Recipe
from libertas.gather.shards import (
    ArchiveTask,
    Note,
    finished,
    gather_alone,
    gather_archive,
    merged,
    page_limits,
    reader,
)
from libertas.lineage.artifact import Draft
from libertas.terminal import printable, progress, say

NOTES = ".notes"
"""Suffix of the folder beside a corpus that says which archives are done, while it is being made."""
NOTE_FILE = re.compile(r"\.?\d+\.(?:npy|parquet|json)(?:\.\w+)?")
"""Its files: notes of an archive by number, and those that an interruption left unfinished."""


def gather(config: GatherConfig) -> Corpus:
    """Make the corpus that the config describes, or find it made.

    Raises:
        UsageError: an archive cannot be read or is named twice, or no record is a document.
    """
    inputs = inputs_of(config.archives, config.prefix, config.shard)
    models = {"language model": [config.language_model]} if config.language_model else {}
    draft = Draft(kind="corpus", out=config.out, config=config, inputs={**inputs.lineage, **models}, code=__name__)
    notes_folder = config.out.with_name(config.out.name + NOTES)
    if not draft.finished():
        try:
            with draft.build(resume=True) as folder:
                tasks = _tasks(config, inputs.archives, draft.fingerprint, folder, notes_folder)
                notes = merged(tasks, _done(config, tasks), folder)
                _count(draft, notes)
        finally:
            with suppress(OSError):  # it is not there, or holds what the next run goes on with
                notes_folder.rmdir()
        _tell_of_damage(notes, config.out / DROPS)
    _remove_notes(notes_folder)
    return Corpus.open(config.out)


def recipe_of(config: GatherConfig) -> Recipe:
    """What the settings say of a single record."""
    mode = ReadMode(
        markdown=config.markdown,
        links=config.links,
        comments=config.comments,
        agreement=config.agreement,
        metadata=True,
    )
    return Recipe(component=config.component, mode=mode, only=config.only, language_model=config.language_model)


def _tasks(
    config: GatherConfig, archives: Sequence[str], fingerprint: str, corpus: Path, notes: Path
) -> list[ArchiveTask]:
    recipe = recipe_of(config)
    return [
        ArchiveTask(
            number=number,
            archive=archive,
            prefix=config.prefix,
            corpus=corpus.absolute(),
            notes=notes.absolute(),
            fingerprint=fingerprint,
            recipe=recipe,
            limits=page_limits(config.page_seconds, recipe),
        )
        for number, archive in enumerate(archives)
    ]


def _done(config: GatherConfig, tasks: Sequence[ArchiveTask]) -> list[Note]:
    """Do what is not done yet; an archive that cannot be read is told of when all others are done.

    Raises:
        UsageError: an archive cannot be read, or there is no document in any.
    """
    notes = {task.number: note for task in tasks if (note := finished(task))}
    todo = [task for task in tasks if task.number not in notes]
    failures: list[Exception] = []
    with progress("Gathering", len(todo)) as bar:
        meter = Meter(bar, [task.archive for task in todo])
        for task, outcome in (_on_ray if config.engine == "ray" else _here)(config, todo, meter):
            if isinstance(outcome, Note):
                notes[task.number] = outcome
            elif isinstance(outcome, LibertasError | OSError):
                failures.append(outcome)
            else:
                raise outcome
    found = [notes[task.number] for task in tasks if task.number in notes]
    if failures or not any(note.documents for note in found):
        if not any(note.documents for note in found):
            _clear(tasks)
        raise _failure(failures) if failures else UsageError(_nothing_in(found))
    return found


def _here(
    config: GatherConfig, tasks: Sequence[ArchiveTask], meter: Meter
) -> Iterator[tuple[ArchiveTask, Note | Exception]]:
    """Do the tasks one after the other; each has all workers."""
    with reader(recipe_of(config), config.workers, page_limits(config.page_seconds, recipe_of(config))) as pool:
        for task in tasks:
            try:
                note = gather_archive(task, pool, meter.tell)
            except UsageError as error:
                yield task, error
            else:
                meter.archive_done(task.archive)
                yield task, note


def _on_ray(
    config: GatherConfig, tasks: Sequence[ArchiveTask], meter: Meter
) -> Iterator[tuple[ArchiveTask, Note | Exception]]:
    """Do each task where the cluster has room."""
    for task, outcome in map_on_ray(gather_alone, tasks):
        if isinstance(outcome, Note):
            meter.dropped.update(outcome.dropped)
            meter.archive_done(task.archive, outcome.documents)
        yield task, outcome


def _failure(failures: Sequence[Exception]) -> Exception:
    """The first failure, in words that count the others."""
    if len(failures) == 1:
        return failures[0]
    return UsageError(
        f"{failures[0]} ({len(failures) - 1} more archives failed; the others are done: run the same command again)"
    )


def _clear(tasks: Sequence[ArchiveTask]) -> None:
    """Remove what is of no use: the parts of a corpus that holds no document."""
    for task in tasks:
        task.shard.unlink(missing_ok=True)
    _remove_notes(tasks[0].notes)


def _remove_notes(folder: Path) -> None:
    """Remove the notes of archives, and their folder if nothing else is in it: the name may be taken by another's."""
    for path in folder.glob("*"):
        if NOTE_FILE.fullmatch(path.name):
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _count(draft: Draft, notes: Sequence[Note]) -> None:
    languages, dropped = Counter[str](), Counter[str]()
    for note in notes:
        languages.update(note.languages)
        dropped.update(note.dropped)
    documents = sum(note.documents for note in notes)
    draft.counts.update(
        documents={"in": sum(n.records for n in notes), "out": documents, "dropped": dropped.total()},
        dropped=dict(sorted(dropped.items())),
        text_bytes=sum(note.text_bytes for note in notes),
        languages=dict(sorted(languages.items())),
    )


def _tell_of_damage(notes: Sequence[Note], where: Path) -> None:
    """One line for the person where an archive held less than was meant to be in it."""
    damaged = {n.archive: lost for n in notes if (lost := sum(n.dropped[reason] for reason in DAMAGE))}
    if not damaged:
        return
    n = sum(damaged.values())
    first = next(iter(damaged)).rpartition("/")[2]
    names = first if len(damaged) == 1 else f"{len(damaged)} archives ({first} first)"
    line = f"{n} record{'s' * (n > 1)} of {names} {'were' if n > 1 else 'was'} truncated or damaged; reasons in {where}"
    say(escape(printable(line)))


def _nothing_in(notes: Sequence[Note]) -> str:
    reasons = sum((note.dropped for note in notes), Counter[str]())
    why = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common(4))
    names = ", ".join(note.archive for note in notes[:4]) + (", …" if len(notes) > 4 else "")
    return (
        f"{names} has {reasons.total()} records and no document: {why}; expected text/html responses or text "
        "resources; name an archive that has pages"
    )
