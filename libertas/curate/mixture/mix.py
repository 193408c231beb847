"""Corpora and what was said of them -> one corpus with the parts `train`, `validation` and perhaps `test`.

Every document is read once, for its size after cuts and, where it may be compared, its signature. What speaks against
it is decided on an array of 48 bytes each: tombstones, side-cars, duplicates. Whole clusters are held out, and training
is cleared of what is like them; passes are drawn and interleaved; then the shards are written, and as they are written
it is proven that training has nothing that is held out. Whatever is not in the mixture is in `drops.parquet`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.markup import escape

from libertas.corpus import Corpus
from libertas.curate.duplicates.clusters import CLUSTERS
from libertas.curate.duplicates.find import find_duplicates
from libertas.curate.mixture.clusters import keep_one_of_each, load_clusters
from libertas.curate.mixture.config import MixConfig
from libertas.curate.mixture.documents import PARTS, Documents, Rows, load_documents, read_signatures, read_tables
from libertas.curate.mixture.plan import component_counts, mixture_table
from libertas.curate.mixture.reading import (
    READ,
    READ_SCHEMA,
    SIGNATURES,
    SIGNATURES_SCHEMA,
    Sidecar,
    Source,
    read_piece,
    tombstones_in,
)
from libertas.curate.mixture.split import clear_of_held_out, hold_out, require_training
from libertas.curate.mixture.stream import Portion, draw_stream, drop_unused, take_portions, times_taken
from libertas.curate.mixture.unseen import OVERLAP_WORDS, note_held_out, shared_ngrams
from libertas.curate.mixture.workplace import Workplace, remove_work, work_folder, workplace
from libertas.curate.mixture.writing import (
    PART_SHARD_BYTES,
    PartTask,
    Written,
    lay_out_corpora,
    part_tasks,
    read_part,
    write_part,
)
from libertas.curate.sidecar import AGAINST, CUTS, places_in, require_distinct, require_sidecar, write_sidecars
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.fingerprint import canonical, digest
from libertas.lineage.manifest import is_artifact
from libertas.spelling import nearest
from libertas.terminal import printable, say, stdout

DROPS = "drops.parquet"
DROPS_SCHEMA = pa.schema(
    [
        ("document_id", pa.string()),
        ("component", pa.string()),
        ("rule", pa.string()),
        ("reason", pa.string()),
        ("value", pa.float64()),
    ]
)
CORPUS_INDEX = "documents.npy"
"""What a part of a corpus has."""
SHOWN_LINES = 20
"""Names that are shown: of lines of a list of tombstones that match nothing, or of components."""


@dataclass
class Mixture:
    """What is to be written."""

    documents: Documents
    portions: dict[str, Portion]
    """What is taken of each component, or language."""
    times: Rows
    """How often training has each document."""
    weights: dict[str, float]
    """Passes that were asked of each component; none where languages are weighed."""
    without: dict[str, list[str]]
    """For each part the components of which nothing is held out for it, because they are too small."""


def mix(config: MixConfig) -> Corpus | None:
    """Make the mixed corpus that the config describes, or find it made; returns its training part.

    With `plan`, the table of the mixture is printed and None returned.

    Raises:
        UsageError: side-cars are about other corpora, a setting names no component, nothing is left, or too much would
            be held out.
    """
    _require_kinds(config)
    plain = {"tombstones": config.tombstones, "tokenizer": config.tokenizer}
    files = {role: [path] for role, path in plain.items() if path is not None}
    inputs = {"corpus": config.corpora, "decisions": config.decisions, **files}
    draft = Draft(kind="corpus", out=config.out, config=config, inputs=inputs, code=__name__)
    source, clusters = _source(config, draft)
    if not config.plan and draft.finished():
        remove_work(config.out)
        return Corpus.open(config.out, "train")
    corpora = [Corpus.open(path) for path in config.corpora]
    require_distinct(corpora)
    reading, notes = _keys(draft, source)
    if config.plan:
        with workplace(config.out, reading=reading) as place:
            _show(_planned(config, source, clusters, place), config)
        if is_artifact(config.out):
            remove_work(config.out)
        else:
            kept = escape(printable(str(work_folder(config.out))))
            say(f"What was read is kept in {kept} for the mixture to be made of it.")
        return None
    with draft.build(resume=True) as folder, workplace(config.out, reading=reading, notes=notes) as place:
        _write(_planned(config, source, clusters, place), config, draft, folder.absolute(), place)
    remove_work(config.out)
    return Corpus.open(config.out, "train")


def _require_kinds(config: MixConfig) -> None:
    """Refuse inputs that are something else.

    Raises:
        UsageError: naming the first.
    """
    for path in config.corpora:
        if is_artifact(path) and not (path / CORPUS_INDEX).exists() and (path / "train" / CORPUS_INDEX).exists():
            raise UsageError(
                f"corpora: {path} is a mixture; expected corpora as `libertas gather` makes them; name those that it "
                f"was made of, which `libertas show {path}` prints, and the decisions about them"
            )
    expected = {"tombstones": "a text file of ids and URLs, one a line", "tokenizer": "a tokenizer.json"}
    for name, meaning in expected.items():
        path = getattr(config, name)
        if path is not None and not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise UsageError(f"{name}: {path} {what}; expected {meaning}; name one or leave it out")


def _source(config: MixConfig, draft: Draft) -> tuple[Source, Sidecar | None]:
    """What is to be read, and which side-car has clusters.

    Raises:
        UsageError: a side-car is about other corpora or says nothing that can be acted on, or two have clusters.
    """
    sidecars = []
    for path in config.decisions:
        named = {file.path.partition("/")[0] for file in require_sidecar(path).files}
        tables = frozenset(named & {AGAINST, CUTS, CLUSTERS})
        if not tables:
            raise UsageError(
                f"{path} has no tables `{AGAINST}`, `{CUTS}` or `{CLUSTERS}`; expected one of them; make it again"
            )
        sidecars.append(Sidecar(path.absolute(), tuple(places_in(path, draft)), tables))
    clusters = [sidecar for sidecar in sidecars if CLUSTERS in sidecar.tables]
    if len(clusters) > 1:
        raise UsageError(f"decisions has clusters in {' and '.join(str(c.path) for c in clusters)}; name one of them")
    source = Source(
        corpora=tuple(path.absolute() for path in config.corpora),
        sidecars=tuple(sidecars),
        tombstones=config.tombstones and config.tombstones.absolute(),
        tokenizer=config.tokenizer and config.tokenizer.absolute(),
        signing=config.validation > 0 or config.test > 0,
    )
    return source, clusters[0] if clusters else None


def _keys(draft: Draft, source: Source) -> tuple[str, str]:
    """What reading depends on, and what writing does, as hashes."""
    contents = [(i.role, i.content) for i in draft.inputs]
    return (
        digest(canonical([draft.code, contents, source.signing])),
        digest(canonical([draft.fingerprint, contents])),
    )


def _planned(config: MixConfig, source: Source, clusters: Sidecar | None, place: Workplace) -> Mixture:
    """Read every document, and decide about each."""
    corpora = [Corpus.open(path) for path in source.corpora]
    schemas = {READ: READ_SCHEMA} | ({SIGNATURES: SIGNATURES_SCHEMA} if source.signing else {})
    judge = partial(read_piece, source=source)
    write_sidecars(
        corpora, place.reading, judge, schemas, title="Reading", workers=config.workers, engine=config.engine
    )
    documents = load_documents(corpora, place.reading)
    if not len(documents.table):
        raise UsageError(f"{config.corpora[0]} holds no document; expected some to mix; gather it again")
    _require_names(documents, config)
    if clusters is None and source.signing:
        folder = place.reading / f"duplicates-{config.similarity}"
        find_duplicates(corpora, folder, similarity=config.similarity, workers=config.workers, engine=config.engine)
        found = Sidecar(folder, tuple(range(len(corpora))), frozenset({CLUSTERS}))
        load_clusters(documents, corpora, found)
    elif clusters is not None:
        members = load_clusters(documents, corpora, clusters)
        if config.duplicates != "keep":
            keep_one_of_each(documents, members, within=config.duplicates == "within")
    drop_unused(documents, config)
    without: dict[str, list[str]] = {}
    if source.signing:
        before = np.bincount(documents.table["component"][documents.staying()], minlength=len(documents.components))
        without = hold_out(documents, config)
        for part, names in without.items():
            more = f" and {len(names) - SHOWN_LINES} more" if len(names) > SHOWN_LINES else ""
            which = ", ".join(names[:SHOWN_LINES]) + more
            say(escape(printable(f"{part}: nothing is held out of {which}; it has one document, or duplicates of one")))
        clear_of_held_out(documents, partial(read_signatures, corpora, place.reading), config.similarity)
        require_training(documents, before, config)
    portions, weights = take_portions(documents, config)
    times = times_taken(documents, portions.values())
    return Mixture(documents, portions, times, {} if config.by_language else weights, without)


def _require_names(documents: Documents, config: MixConfig) -> None:
    settings = {
        "weights": (config.weights, "component"),
        "shares": (config.shares, "component"),
        "language_shares": (config.language_shares, "language"),
        "caps": (config.caps, "language" if config.by_language else "component"),
    }
    known = {"component": documents.components, "language": documents.languages}
    for setting, (names, kind) in settings.items():
        for name in names:
            if name not in known[kind]:
                raise UsageError(f"{setting}: there is no {kind} {name!r}; {nearest(name, known[kind])}")


def _write(mixture: Mixture, config: MixConfig, draft: Draft, folder: Path, place: Workplace) -> None:
    """Write held-out parts, then training past them, then what is not in the mixture."""
    documents = mixture.documents
    corpora = [Corpus.open(path) for path in config.corpora]
    like = PartTask(
        part="",
        number=0,
        first=0,
        last=0,
        folder=folder,
        reading=place.reading,
        notes=place.notes,
        layout=lay_out_corpora(corpora, place.reading),
        similarity=config.similarity,
    )
    stream = draw_stream(mixture.portions.values(), documents.table["bytes"])
    training = part_tasks(documents, "train", stream, PART_SHARD_BYTES, like)
    del stream
    streams = {part: documents.staying(part).astype(np.uint64) for part in PARTS[1:] if part != "test" or config.test}
    tasks = {part: part_tasks(documents, part, stream, PART_SHARD_BYTES, like) for part, stream in streams.items()}
    written = {part: write_part(some, config.workers, config.engine)[0] for part, some in tasks.items()}
    held = {part: read_part(some) for part, some in tasks.items()}
    ngrams, share = note_held_out(held, place.notes, sum(w.bytes for w in written.values()))
    written["train"], met = write_part(training, config.workers, config.engine)
    unseen = _proof(written["train"], mixture, config)
    shares = shared_ngrams(ngrams, place.notes, met)
    unseen |= {"ngram_words": OVERLAP_WORDS, "ngram_sample": share, "ngram_share": shares.get("validation", {})}
    if config.test:
        unseen["test_ngram_share"] = shares.get("test", {})
    _write_drops(documents, corpora, folder, place.reading)
    _count(mixture, written, draft)
    draft.counts["unseen"] = unseen
    if config.tombstones is not None:
        draft.counts["tombstones"] = _tombstones(config.tombstones, documents)


def _proof(train: Written, mixture: Mixture, config: MixConfig) -> dict[str, object]:
    """What training, as it was written, has of the held-out documents: nothing, whatever was done to make it so."""
    assert not train.ids_in_both, f"{train.ids_in_both} held-out documents are in training"
    assert not train.texts_in_both, f"{train.texts_in_both} held-out texts are in training"
    assert not train.near_duplicates, f"{train.near_duplicates} training documents are near-duplicates of held-out ones"
    dropped = mixture.documents.dropped_by_rule()
    return {
        "ids_in_both": train.ids_in_both,
        "texts_in_both": train.texts_in_both,
        "near_duplicates": train.near_duplicates,
        "similarity": config.similarity,
        "dropped_from_training": sum(n for rule, n in dropped.items() if rule.startswith("unseen_")),
    }


def _write_drops(documents: Documents, corpora: Sequence[Corpus], folder: Path, reading: Path) -> None:
    """Write a row for each document that is not in the mixture, in corpus order."""
    with pq.ParquetWriter(folder / DROPS, DROPS_SCHEMA, compression="zstd") as writer:
        for rows, read in read_tables(corpora, reading, READ):
            here = documents.table[rows]
            gone = np.flatnonzero(here["drop"])
            said = [documents.reasons[code - 1] for code in here["drop"][gone].tolist()]
            value = here["value"][gone]
            columns = [
                read["document_id"].take(gone),
                read["component"].take(gone),
                pa.array([rule for rule, _ in said], pa.string()),
                pa.array([reason for _, reason in said], pa.string()),
                pa.array(value, mask=np.isnan(value)),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=DROPS_SCHEMA))


def _count(mixture: Mixture, written: dict[str, Written], draft: Draft) -> None:
    documents = mixture.documents
    copies = int(mixture.times.sum()) - int((mixture.times > 0).sum())
    train, held = written["train"], {part: w for part, w in written.items() if part != "train"}
    out = train.documents - copies + sum(w.documents for w in held.values())
    dropped = documents.dropped_by_reason()
    assert len(documents.table) == out + sum(dropped.values()), "a document vanished"
    draft.counts.update(
        documents={"in": len(documents.table), "out": out, "dropped": sum(dropped.values())},
        train_documents=train.documents - copies,
        copies=copies,
        train_bytes=train.bytes,
        dropped=dropped,
        components=component_counts(documents, mixture.times, mixture.weights),
        cuts={
            "documents": sum(w.cut_documents for w in written.values()),
            "characters": sum(w.cut_characters for w in written.values()),
            "rules": dict(sorted(sum((w.cut for w in written.values()), Counter()).items())),
        },
    )
    if mixture.without:
        draft.counts["nothing_held_out"] = mixture.without
    draft.counts.update({f"{part}_documents": w.documents for part, w in held.items()})
    draft.counts.update({f"{part}_bytes": w.bytes for part, w in held.items()})


def _tombstones(path: Path, documents: Documents) -> dict[str, object]:
    """How many documents a list of tombstones took; what it names in vain is said."""
    listed = tombstones_in(path)
    idle = [name for name, line in listed.items() if line not in documents.buried]
    if idle:
        more = f" and {len(idle) - 1} more" if len(idle) > 1 else ""
        say(escape(printable(f"tombstones {path}: no document is {idle[0]}{more}; the others are left out")))
    taken = documents.dropped_by_rule().get("tombstone", 0)
    return {"listed": len(listed), "documents": taken, "unmatched": len(idle), "examples": idle[:SHOWN_LINES]}


def _show(mixture: Mixture, config: MixConfig) -> None:
    stdout.print(mixture_table(mixture.documents, mixture.times, mixture.weights))
    if config.tombstones is not None:
        _tombstones(config.tombstones, mixture.documents)
