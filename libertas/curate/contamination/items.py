"""Evaluation sets in whatever form they come: JSONL, JSON, CSV, plain text, folders of these, corpora."""

import csv
import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from libertas.corpus import Corpus
from libertas.errors import UsageError
from libertas.lineage.manifest import is_artifact

TABLES, TEXTS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv"), (".txt", ".md")
PACKED = ("", ".gz", ".zst")
ENDINGS = tuple(form + packed for form in (*TABLES, *TEXTS) for packed in PACKED)
"""How the names of evaluation sets end."""

KEYS: dict[str, tuple[str, ...]] = {
    "question": ("question", "problem", "prompt", "nl_statement", "sentence_good", "Context utterance", "query",
                 "instruction", "ctx", "goal", "premise", "text", "content", "sentence"),
    "choices": ("choices", "options", "endings", "Response utterance", "hypothesis"),
    "answer": ("answer", "canonical_solution", "solution", "nl_proof", "sentence_bad", "Implicature", "answerKey",
               "answers", "label", "target", "output"),
    "passage": ("passage", "context", "story", "article", "support", "background"),
    "other": ("formal_statement",),
    "id": ("task_id", "id", "question_id", "ind", "idx"),
}  # fmt: skip
"""Where each part of an item stands: the first of these keys that is there. MMLU, GSM8K, HumanEval, ProofNet, BLiMP (a
pair of sentences: the other one counts as the answer), conversational implicatures, LAMBADA and their like. `other` is
a second question with the same answer, an item of its own."""

ANNOTATION = re.compile(r"<<[^<>\n]{0,200}>>")
"""GSM8K's marks for a calculator: its solutions are found with them and without."""
NUMBERED = ("UID", "pairID")
"""BLiMP numbers its pairs within each phenomenon."""


@dataclass(frozen=True, slots=True)
class EvaluationItem:
    """What a model is asked, in the parts in which it may stand in a document."""

    task: str
    id: str
    """Unique within the task."""
    question: str
    """What is asked, or all the text of an item that has no parts."""
    choices: tuple[str, ...] = ()
    """What is shown beside the question: the possible answers, the reply that is to be judged."""
    answers: tuple[str, ...] = ()
    """The right answer, in each of the ways in which it may be written."""
    passage: str = ""
    """What the question is about."""


def evaluation_files(given: Sequence[Path]) -> list[tuple[str, Path]]:
    """TableTask name and place of every evaluation set among some files, folders and corpora, in order.

    Raises:
        UsageError: a path is not there, is of no known form, or a folder holds no evaluation set.
    """
    found: list[tuple[Path, Path]] = []
    for path in given:
        if not path.exists():
            raise UsageError(f"{path} does not exist; expected an evaluation set, a folder of them, or a corpus")
        if path.is_dir() and not is_artifact(path):
            inside = sorted(p for p in path.rglob("*") if p.name.endswith(ENDINGS) and p.is_file())
            if not inside:
                raise UsageError(
                    f"{path} holds no evaluation set; expected files that end in {', '.join(TABLES)}, .txt"
                )
            found += [(p.relative_to(path), p) for p in inside]
        elif path.is_dir() or path.name.endswith(ENDINGS):
            found.append((Path(path.name), path))
        else:
            raise UsageError(f"{path} is of no known form; expected a name that ends in {', '.join(TABLES)}, .txt")
    short = Counter(_stem(p.name) for _, p in found)
    names: Counter[str] = Counter()
    result = []
    for relative, path in found:
        name = _stem(path.name) if short[_stem(path.name)] == 1 else _stem(relative.as_posix())
        names[name] += 1
        result.append((name if names[name] == 1 else f"{name}#{names[name]}", path))
    return result


def _stem(name: str) -> str:
    ending = max((e for e in ENDINGS if name.endswith(e)), key=len, default="")
    return name.removesuffix(ending) or name


def read_items(task: str, path: Path, fields: Mapping[str, str]) -> Iterator[EvaluationItem]:
    """The items of one evaluation set, streamed; ids are made unique by `#2`, `#3`, ...

    Args:
        task: name that its items carry.
        path: a file, or a corpus: of one with a held-out part, that part.
        fields: role -> key, where `KEYS` does not know it.

    Raises:
        UsageError: a line cannot be read, or has none of the keys that hold a question.
    """
    seen: Counter[str] = Counter()
    for item in _items(task, path, fields):
        seen[item.id] += 1
        if seen[item.id] == 1:
            yield item
        else:
            name = f"{item.id}#{seen[item.id]}"
            yield EvaluationItem(task, name, item.question, item.choices, item.answers, item.passage)


def _items(task: str, path: Path, fields: Mapping[str, str]) -> Iterator[EvaluationItem]:
    if path.is_dir():
        part = "validation" if (path / "validation").is_dir() else "."
        for document in Corpus.open(path, part):
            yield from _paragraphs(task, document.id, document.text)
    elif (form := Path(path.name.removesuffix(".gz").removesuffix(".zst")).suffix) in TEXTS:
        for text in _records(path, form):
            yield from _paragraphs(task, "", text)
    else:
        keys = {role: (fields[role],) if role in fields else known for role, known in KEYS.items()}
        for number, record in enumerate(_records(path, form), 1):
            yield from _made(task, number, record, keys, path)


def _paragraphs(task: str, name: str, text: str) -> Iterator[EvaluationItem]:
    """A text's paragraphs: a whole one of these is rarely copied, and a long text would hide a short overlap."""
    for number, paragraph in enumerate(p for p in re.split(r"\n(?:[ \t\r]*\n)+", text) if p.strip()):
        yield EvaluationItem(task, f"{name}#{number}" if name else str(number + 1), paragraph)


def _read(path: Path) -> io.TextIOBase:
    """The text of a file, unpacked; a byte order mark is no part of it."""
    if path.name.endswith(".gz"):
        raw: Any = gzip.GzipFile(path)
    elif path.name.endswith(".zst"):
        raw = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True, closefd=True)
    else:
        raw = path.open("rb")
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def _records(path: Path, form: str) -> Iterator[Any]:
    line = 0
    try:
        with _read(path) as file:
            if form in (".csv", ".tsv"):
                csv.field_size_limit(1 << 30)
                for row in csv.DictReader(file, delimiter="\t" if form == ".tsv" else ","):
                    line += 1
                    yield row
            elif form in TEXTS:
                yield file.read()
            elif form == ".json":
                value = json.load(file)
                lists = [v for v in value.values() if isinstance(v, list)] if isinstance(value, dict) else [value]
                yield from (record for records in lists for record in records)
            else:
                for text in file:
                    line += 1
                    if text.strip():
                        yield json.loads(text)
    except (ValueError, csv.Error, OSError, EOFError, zstandard.ZstdError, RecursionError) as error:
        raise UsageError(
            f"{path}, line {max(line, 1)}: cannot be read ({error}); expected {form[1:]} in UTF-8"
        ) from error


def _made(
    task: str, number: int, record: Any, keys: Mapping[str, tuple[str, ...]], path: Path
) -> Iterator[EvaluationItem]:
    if isinstance(record, str):
        record = {"text": record}
    if not isinstance(record, dict):
        raise UsageError(f"{path}, item {number}: is no object with keys; expected one such as {{'question': …}}")
    found = {role: next((record[k] for k in known if record.get(k) is not None), None) for role, known in keys.items()}
    if found["question"] is None:
        raise UsageError(
            f"{path}, item {number}: none of its keys ({', '.join(map(str, record))}) is known to hold a question; "
            "say which does: --fields.question KEY"
        )
    name = "-".join(str(record[k]) for k in NUMBERED if k in record) or str(found["id"] or number)
    choices = tuple(_texts(found["choices"]))
    answers = tuple(_answers(found["answer"], choices))
    passage = "\n".join(_texts(found["passage"]))
    question = "\n".join(_texts(found["question"]))
    yield EvaluationItem(task, name, question, choices, answers, passage)
    for other in _texts(found["other"]):
        yield EvaluationItem(task, f"{name}/other", other, (), answers, "")


def _texts(value: Any) -> Iterable[str]:
    """All texts in a value: itself, a list of them, or a table that holds them under `text`."""
    if isinstance(value, dict):
        value = value.get("text", value.get("stem", list(value.values())))
    if isinstance(value, list | tuple):
        return [text for each in value for text in ([each] if isinstance(each, str) else [_plain(each)])]
    return [] if value is None else [_plain(value)]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("text", "")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _answers(value: Any, choices: Sequence[str]) -> Iterator[str]:
    """The right answer as text: a number or a letter chooses among the choices."""
    if isinstance(value, str) and len(value) == 1 and value.isalpha() and ord(value.upper()) - ord("A") < len(choices):
        value = ord(value.upper()) - ord("A")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(choices):
        value = choices[value]
    for text in _texts(value):
        yield text
        if (without := ANNOTATION.sub("", text)) != text:
            yield without
