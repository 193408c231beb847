"""The command line: every stage by its name, and the commands that look at what stages made.

This is the only file that knows the CLI library. Help imports no torch: only the settings of a stage are loaded.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from libertas.errors import LibertasError, UsageError
from libertas.stages import CRAWL_AND_PACK, LOOKS, STAGES, Stage, command_of

ABOUT = """libertas: an open laboratory for language models.

From raw web archives to a trained, scored and traceable model. Any score or generated word can be asked "why?".
Start with `libertas demo`; every command explains itself with --help."""


def _stage_command(name: str, stage: Stage) -> Callable[..., None]:
    """A function whose signature is the stage's settings, as the CLI library wants it."""
    config_type = stage.config_type()

    def command(*, config: Any) -> None:
        from libertas.lineage.walk import draw, lineage
        from libertas.terminal import stdout

        result = stage.call(config)
        for item in stage.rendered(result):
            stdout.print(item)
        if stage.render is None and result is not None:  # a look at a plan makes nothing
            stdout.print(draw(lineage(config.out)))

    command.__doc__ = config_type.__doc__
    command.__annotations__ = {"config": Annotated[config_type, Parameter(name="*")], "return": None}
    return command


def show(path: Path, /) -> None:
    """Show what an artifact is and everything it was made from, as a tree.

    Parameters
    ----------
    path: Path
        An artifact, or a folder of artifacts.
    """
    from libertas.lineage.manifest import is_artifact, read_manifest
    from libertas.lineage.walk import artifacts_under, draw, lineage
    from libertas.serve.show import details
    from libertas.terminal import stdout

    if path.exists() and not is_artifact(path) and path.is_dir():
        found = artifacts_under(path)
        read = {(a / i.path).resolve() for a in found for i in read_manifest(a).inputs}
        nested = [a for a in found if any(p in found for p in a.parents)]
        ends = [a for a in found if a.resolve() not in read and a not in nested]
        if not ends:
            raise UsageError(f"{path} holds no artifact; name a folder that `libertas` made")
        for end in ends:
            stdout.print(draw(lineage(end), path.resolve()))
        return
    stdout.print(details(read_manifest(path)))
    stdout.print(draw(lineage(path)))


def verify(path: Path, /) -> None:
    """Hash every byte again: an artifact with all it was made from, or every artifact in a folder.

    Exit status 1, the changed file and every artifact downstream of it are the answer when one byte differs.

    Parameters
    ----------
    path: Path
        An artifact, or a folder of artifacts.
    """
    from libertas.lineage.verify import verify as check
    from libertas.terminal import stdout

    outcome = check(path)
    if outcome.sound:
        stdout.print(
            f"sound: {outcome.artifacts} artifacts, {outcome.files} files, {outcome.bytes / 1e6:.1f} MB hashed"
        )
        return
    for damage in outcome.damages:
        stdout.print(f"damaged: {_relative(damage.file)}: {damage.what}", markup=False)
        for artifact in outcome.downstream.get(damage.file, []):
            stdout.print(f"  downstream: {_relative(artifact)}", markup=False)
    raise SystemExit(1)


def model(
    name: str = "", /, *, depth: int = 0, batch: int = 8, precision: str = "bf16", check_mup: bool = False
) -> None:
    """Show what a model is and costs: shape, parameters, operations by part, memory. Nothing is allocated.

    Parameters
    ----------
    name: str
        A size that has a name, such as gpt-neox-20b.
    depth: int
        Instead of a name, a modern model of so many layers, whose other widths follow.
    batch: int
        Sequences that are trained on at a time, for the memory.
    precision: str
        Of the computation: bf16 with fp32 master weights, or fp32.
    check_mup: bool
        Instead, train small models of this kind under muP at widths from 64 to 1024, and see that activations stay.
    """
    from libertas.model.sheet import SheetConfig, model_sheet, sheet
    from libertas.terminal import stdout

    config, shape = model_sheet(SheetConfig(name=name, depth=depth, batch=batch, precision=precision))
    if check_mup:
        from libertas.train.coordinate_check import mup_view

        tables = mup_view(shape)
    else:
        tables = sheet((config, shape))
    for table in tables:
        stdout.print(table, end="\n\n")


def run(lab: Path, /, *, into: Path | None = None, fresh: bool = False) -> None:
    """Run a lab file: a whole life of a model, a table per stage; finished stages are reused.

    Parameters
    ----------
    lab: Path
        The TOML file.
    into: Path
        Folder for everything it makes; by default one with the lab's name, in the current folder.
    fresh: bool
        Make again what was made with other settings or by another version; what matches is reused.
    """
    from libertas.lab import run as run_lab

    run_lab(lab, into, fresh)


def why(name: str, /, *paths: Path) -> None:
    """Say everything that decided about a document: rules with their numbers, duplicates, cuts, mixture, and origin.

    Parameters
    ----------
    name: str
        Its id, the beginning of one, or its address.
    paths: Path
        What judged it: decisions, duplicates, redactions, a mixture, or a folder of artifacts; by default this one.
    """
    from libertas.curate.why import account_table, accounts_of
    from libertas.terminal import stdout

    for account in accounts_of(name, paths or (Path(),)):
        stdout.print(account_table(account))


def demo(
    *, into: Path = Path("demo"), warc: tuple[Path, ...] = (), steps: int | None = None, fresh: bool = False
) -> None:
    """The whole life of a small language model in about three minutes, offline, with nothing to download.

    Web pages are crawled from Python's own documentation server into a WARC file, become documents, a curated
    mixture, tokens, a trained model, scores, and a paragraph that is traced back to the bytes it came from.

    Parameters
    ----------
    into: Path
        Folder for everything it makes.
    warc: tuple[Path, ...]
        Your own web archives instead of the embedded ones.
    steps: int
        Training steps, fewer for a quick look.
    fresh: bool
        Make again what was made with other settings or by another version; what matches is reused.
    """
    from libertas.demo import demo as run_demo

    run_demo(into, warc, steps, fresh)


def corpus(
    path: Path,
    /,
    *,
    id: str | None = None,
    url: str | None = None,
    random: Annotated[tuple[int, ...] | None, Parameter(consume_multiple=(0, 1))] = None,
    workers: int = 2,
) -> None:
    """Look at a corpus, or at files of lm_dataformat: counts, sizes, components, languages, lengths; or one document.

    Parameters
    ----------
    path: Path
        A corpus, a folder of files such as `data_0_time0_web.jsonl.zst`, or one such file.
    id: str
        Print the document with this id.
    url: str
        Print the documents that came from this address.
    random: tuple[int, ...]
        Print a document by chance; with a number after it, always the same one.
    workers: int
        Processes that read.
    """
    from libertas.corpus.find import document_with_id, documents_with_url, random_document
    from libertas.corpus.look import corpus_summary, document_view
    from libertas.terminal import say, stdout

    if sum(choice is not None for choice in (id, url, random)) > 1:
        raise UsageError("more than one of --id, --url and --random is given; expected one; name the document once")
    if id is not None:
        found = [document_with_id(path, id, workers)]
    elif url is not None:
        found = documents_with_url(path, url, workers)
    elif random is not None:
        document, again = random_document(path, random[0] if random else None)
        say(f"the same document again: {again}")
        found = [document]
    else:
        for item in corpus_summary(path, workers):
            stdout.print(item)
        return
    for document in found:
        for item in document_view(document):
            stdout.print(item)


def grep(
    pattern: str,
    path: Path,
    /,
    *,
    ignore_case: bool = False,
    count: bool = False,
    limit: int | None = None,
    component: str | None = None,
    workers: int = 2,
) -> None:
    """Find a regular expression in the texts of a corpus, or of files of lm_dataformat: id, address, context.

    Exit status 1 says that no document matches.

    Parameters
    ----------
    pattern: str
        As Python's `re` understands it; begin with `(?s)` to let a dot match line ends.
    path: Path
        A corpus, a folder of files such as `data_0_time0_web.jsonl.zst`, or one such file.
    ignore_case: bool
        Let small and capital letters match each other.
    count: bool
        Only say in how many documents it is found, and how often.
    limit: int
        Stop after so many documents.
    component: str
        Search this component only.
    workers: int
        Processes that search.
    """
    from libertas.corpus.find import matching, one_line
    from libertas.terminal import stdout

    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; expected 1 or more; leave it out to have all")
    found = matching(path, pattern, ignore_case=ignore_case, component=component, workers=workers)
    documents = times = 0
    for match in islice(found, limit):
        documents, times = documents + 1, times + match.count
        if not count:
            stdout.print(one_line(match))
    if count:
        stdout.print(f"{documents:,} documents, {times:,} times")
    if not documents:
        raise SystemExit(1)


def _relative(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


EXAMPLES: dict[str, tuple[str, ...]] = {
    "show": ("libertas show demo/run", "libertas show demo"),
    "verify": ("libertas verify demo",),
    "corpus": (
        "libertas corpus corpora/web",
        "libertas corpus corpora/web --random",
        "libertas corpus corpora/web --url https://example.org/",
    ),
    "corpus grep": ('libertas corpus grep "free software" corpora/web --ignore-case --limit 20',),
    "model": (
        "libertas model gpt-neox-20b",
        "libertas model --depth 12 --batch 32",
        "libertas model pythia-70m --check-mup",
    ),
    "run": ("libertas run labs/first.toml --into first",),
    "why": ("libertas why 0a1b2c3d decisions mix", "libertas why https://example.org/page demo"),
    "demo": ("libertas demo", "libertas demo --warc pages.warc.gz --into my-demo"),
}


def _epilogue(examples: Iterable[str]) -> str:
    """The end of a help text: commands that work as written."""
    return "Examples:\n\n" + "\n".join(f"  {example}" for example in examples)


def make_app() -> App:
    """All commands."""
    settings = Parameter(consume_multiple=True, negative=())
    app = App(
        name="libertas",
        help=ABOUT,
        help_format="plaintext",
        default_parameter=settings,
        suppress_keyboard_interrupt=False,  # `main` says in one line what to do next
    )
    app.version_flags = ["--version"]
    app["--help"].group = app["--version"].group = "Options"
    homes = {words.split()[0]: App(name=words.split()[0]) for words in LOOKS if " " in words}
    for place, (name, stage) in enumerate(STAGES.items()):
        usage = f"Usage: {command_of(name)} {stage.usage} [OPTIONS]"
        command = _stage_command(name, stage)
        if name in homes:
            homes[name].default(command)
            homes[name].usage, homes[name].help_epilogue = usage, _epilogue(stage.examples)
            homes[name].sort_key = place
            app.command(homes[name])
        else:
            home = homes["gather"] if name in CRAWL_AND_PACK else app
            home.command(command, name, usage=usage, help_epilogue=_epilogue(stage.examples), sort_key=place)
    for words, look in LOOKS.items():
        usage = f"Usage: libertas {words} {look.usage} [OPTIONS]"
        above, _, name = words.rpartition(" ")
        home = homes[above] if above else app
        home.command(_stage_command(name, look), name, usage=usage, help_epilogue=_epilogue(look.examples))
    texts = App(name="corpus", sort_key=len(STAGES))
    texts.default(corpus)
    texts.usage, texts.help_epilogue = "Usage: libertas corpus PATH [OPTIONS]", _epilogue(EXAMPLES["corpus"])
    texts.command(grep, help_epilogue=_epilogue(EXAMPLES["corpus grep"]))
    app.command(texts)
    others: tuple[Callable[..., None], ...] = (show, verify, why, model, run, demo)
    for place, extra in enumerate(others, start=len(STAGES)):
        app.command(extra, help_epilogue=_epilogue(EXAMPLES[extra.__name__]), sort_key=place)
    return app


def with_positionals(words: list[str]) -> list[str]:
    """Put the flag of a stage's main setting before its first plain words: `gather A B` is `gather --archives A B`."""
    below = {**LOOKS, **{f"gather {name}": STAGES[name] for name in CRAWL_AND_PACK}}
    stage, depth = below.get(" ".join(words[:2])), 2
    if stage is None:
        stage, depth = {**LOOKS, **STAGES}.get(words[0]) if words else None, 1
    if stage is None or len(words) <= depth or words[depth].startswith("-"):
        return words
    return [*words[:depth], f"--{stage.positional.replace('_', '-')}", *words[depth:]]


def _require_utf8(word: str) -> None:
    """Refuse an argument with other bytes: no manifest or page could hold it."""
    raw = os.fsencode(word)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the argument {raw.decode(errors='backslashreplace')} is not UTF-8; expected UTF-8; rename the file, or "
            "save the text as UTF-8"
        ) from error


def _explain_os_error(error: OSError) -> str:
    name = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"{name}the disk is full; free some space or choose another --out, then run the same command again"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{name}cannot be written here ({os.strerror(error.errno)}); choose an --out that you may write to"
    if error.errno in (errno.ENOTDIR, errno.ENOENT):
        return f"{name}{error.strerror}; check every folder of this path, or choose another --out"
    return f"{name}{error.strerror or error}"


def main(words: Iterable[str] | None = None) -> None:
    """Run the command line; every foreseen failure is one line on standard error and a non-zero exit status."""
    given = list(sys.argv[1:] if words is None else words)
    try:
        for word in given:
            _require_utf8(word)
        make_app()(with_positionals(given), print_error=False, exit_on_error=False)
    except CycloptsError as error:
        message = " ".join(str(error).split())
        command = given[0] if given and given[0] in {*STAGES, *EXAMPLES} else ""
        _fail(f"{message} See `{' '.join(['libertas', command]).strip()} --help`.", 2)
    except LibertasError as error:
        _fail(str(error), error.status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of a pipe went away
        sys.exit(141)
    except OSError as error:
        _fail(_explain_os_error(error), 1)
    except MemoryError:
        _fail("there is not enough memory for this; choose smaller settings, or less data at a time", 1)
    except KeyboardInterrupt as stop:
        _fail(str(stop) or "stopped; the same command continues or starts over", getattr(stop, "exit_status", 130))


def _fail(message: str, status: int) -> None:
    print(f"libertas: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
