"""Corpora and evaluation sets -> which documents hold which items, and what is to be done about it.

`overlaps` has a row for every place where a document and an item meet, with both texts. `cuts` and `against` are what
`mix` acts on; with `--action mark` both are empty.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from libertas.corpus import Corpus, Piece
from libertas.curate.contamination.config import KINDS, DecontaminateConfig
from libertas.curate.contamination.cut import BREAK, cuts_of, too_much
from libertas.curate.contamination.items import evaluation_files, read_items
from libertas.curate.contamination.match import Found, find_items
from libertas.curate.contamination.probe import Probe, make_probe, open_probe
from libertas.curate.contamination.words import words_of
from libertas.curate.sidecar import (
    AGAINST,
    AGAINST_SCHEMA,
    CUTS,
    CUTS_SCHEMA,
    ROW,
    require_distinct,
    rows_of,
    write_sidecars,
)
from libertas.lineage.artifact import Draft

OVERLAPS = "overlaps"
OVERLAPS_SCHEMA = pa.schema(
    [
        *ROW,
        pa.field("task", pa.string()),
        pa.field("item", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("start", pa.int64()),
        pa.field("end", pa.int64()),
        pa.field("words", pa.int64()),
        pa.field("coverage", pa.float64()),
        pa.field("bits", pa.float64()),
        pa.field("item_text", pa.string()),
        pa.field("document_text", pa.string()),
    ]
)
"""Characters [start, end) of the document are in the item as well; see `match.Found` for the other columns."""
RULE = "contamination"
PROBE = "probe"
"""Folder of the arrays that workers share; it is gone when the artifact is done."""
SAMPLE_PIECES = 16
"""Pieces of the corpora in which frequent words are counted: up to 64 MB of text."""
EXCERPT, AROUND = 1600, 80
"""Characters of an overlap that the report shows, and how many of these come before it."""

Rows = dict[str, list[dict[str, Any]]]


def decontaminate(config: DecontaminateConfig) -> Path:
    """Find the items of evaluation sets in corpora, or find it done; returns the artifact's directory.

    Raises:
        UsageError: an input cannot be read, or two corpora hold the same document.
    """
    sets = evaluation_files(config.against)
    inputs = {"corpus": config.corpora, "evaluation set": [path for _, path in sets]}
    draft = Draft(kind="overlaps", out=config.out, config=config, inputs=inputs, code=__name__)
    corpora = [Corpus.open(path) for path in config.corpora]
    if draft.finished():
        return config.out
    require_distinct(corpora)
    with draft.build(resume=True) as folder:
        items = (read_items(task, path, config.fields) for task, path in sets)
        probe = make_probe(folder / PROBE, items, _sample(corpora))
        judge = partial(
            _judge, (folder / PROBE).absolute(), draft.fingerprint, (config.action, config.kinds, config.margin)
        )
        schemas = {OVERLAPS: OVERLAPS_SCHEMA, CUTS: CUTS_SCHEMA, AGAINST: AGAINST_SCHEMA}
        write_sidecars(
            corpora, folder, judge, schemas, title="Decontaminating", workers=config.workers, engine=config.engine
        )
        draft.counts |= _counts(folder, probe, [task for task, _ in sets], sum(map(len, corpora)))
        shutil.rmtree(folder / PROBE)
    return config.out


def _sample(corpora: Sequence[Corpus]) -> Iterator[list[str]]:
    """Texts of a few pieces, evenly spread over all corpora."""
    pieces = [piece for corpus in corpora for shard in range(len(corpus.shards)) for piece in corpus.pieces(shard)]
    for piece in pieces[:: -(-len(pieces) // SAMPLE_PIECES) or 1]:
        yield [document.text for document in piece.read()]


def _judge(folder: Path, mark: str, action: tuple[str, tuple[str, ...], int], piece: Piece) -> Mapping[str, pa.Table]:
    """What a piece of a corpus shares with the items; runs in a worker process."""
    probe = open_probe(folder, mark)
    documents = piece.read()
    rows: Rows = {OVERLAPS: [], CUTS: [], AGAINST: []}
    found: dict[int, list[Found]] = {}
    for one in find_items([d.text for d in documents], probe):
        found.setdefault(one.document, []).append(one)
    for number, overlaps in found.items():
        row = {"number": piece.first + number, "document_id": documents[number].id}
        text = documents[number].text
        rows[OVERLAPS] += [row | _overlap_row(text, one, probe) for one in overlaps]
        serious = [one for one in overlaps if one.kind in action[1]]
        if serious and action[0] == "drop":
            rows[AGAINST].append(row | _against(f"holds {_an_item(serious)} of an evaluation set", serious))
        elif serious and action[0] == "cut":
            _cut(row, text, serious, action[2], probe, rows)
    schemas = {OVERLAPS: OVERLAPS_SCHEMA, CUTS: CUTS_SCHEMA, AGAINST: AGAINST_SCHEMA}
    return {table: rows_of(schemas[table], rows[table]) for table in schemas}


def _an_item(found: Sequence[Found]) -> str:
    """The worst that a document holds, in words."""
    kinds = {one.kind for one in found}
    return next(
        w for k, w in zip(KINDS, ("a question with its answer", "a question", "a passage"), strict=True) if k in kinds
    )


def _against(reason: str, found: Sequence[Found]) -> dict[str, Any]:
    return {"rule": RULE, "reason": reason, "value": max(one.coverage for one in found)}


def _cut(row: dict[str, Any], text: str, found: Sequence[Found], margin: int, probe: Probe, rows: Rows) -> None:
    """Rows for what goes of a document: some characters, or all of it."""
    cuts = cuts_of(len(text), words_of([text]), [(one.start, one.end) for one in found], margin)
    if reason := too_much(len(text), cuts):
        rows[AGAINST].append(row | _against(reason, found))
        return
    for start, end in cuts:
        inside = min((one for one in found if start <= one.start < end), key=lambda one: (one.start, one.item))
        task, name = _name(inside.item, probe)
        between = BREAK if start > 0 and end < len(text) else ""
        cut = {"start": start, "end": end, "replacement": between, "rule": RULE, "detail": f"{task}/{name}"}
        rows[CUTS].append({**row, **cut})


def _name(item: int, probe: Probe) -> tuple[str, str]:
    return probe.texts["task"][item].as_py(), probe.texts["id"][item].as_py()


def _overlap_row(text: str, found: Found, probe: Probe) -> dict[str, Any]:
    task, name = _name(found.item, probe)
    segments = probe.texts["segments"][found.item].as_py()
    before = sum(len(s) + 1 for s in segments[: found.segment]) + found.segment_start
    item_from = max(before - AROUND, 0) if sum(map(len, segments)) > EXCERPT else 0
    document_from = max(found.start - AROUND, 0)
    return {
        "task": task,
        "item": name,
        "kind": found.kind,
        "start": found.start,
        "end": found.end,
        "words": found.words,
        "coverage": found.coverage,
        "bits": found.bits,
        "item_text": "\n".join(segments)[item_from : item_from + EXCERPT],
        "document_text": text[document_from : min(found.end + AROUND, document_from + EXCERPT)],
    }


def _counts(folder: Path, probe: Probe, tasks: Sequence[str], documents: int) -> dict[str, Any]:
    """For each task its items, how many of them were found and in which kind at best; how many documents lose what."""
    items = Counter(probe.texts["task"].to_pylist())
    weak = Counter(
        task for task, told in zip(probe.texts["task"].to_pylist(), probe.told().tolist(), strict=True) if not told
    )
    best: dict[tuple[str, str], str] = {}
    touched: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for path in sorted((folder / OVERLAPS).glob("*.parquet")):
        table = pq.read_table(path, columns=["number", "task", "item", "kind"], partitioning=None)
        pairs = set()
        for row in table.to_pylist():
            key = (row["task"], row["item"])
            best[key] = min(best.get(key, row["kind"]), row["kind"], key=KINDS.index)
            pairs.add((row["task"], row["number"]))
        touched.update(task for task, _ in pairs)
        touched["documents"] += len({number for _, number in pairs})
        for name in (CUTS, AGAINST):
            numbers = pq.read_table(folder / name / path.name, columns=["number"], partitioning=None)["number"]
            lost[name] += len(numbers.unique())
    kinds = Counter((task, kind) for (task, _), kind in best.items())
    return {
        "documents": {"in": documents, "out": documents - lost[AGAINST], "dropped": lost[AGAINST]},
        "items": len(best),
        "documents_touched": touched["documents"],
        "documents_cut": lost[CUTS],
        "tasks": {
            task: {"items": items[task], "too_short_to_tell": weak[task], "documents": touched[task]}
            | {kind: kinds[task, kind] for kind in KINDS}
            for task in tasks
        },
    }
