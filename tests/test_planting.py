"""The made-up world: what is packed is what the task asks, and nothing else about anybody."""

from pathlib import Path

from libertas.evaluate.protocol import PROTOCOLS
from libertas.evaluate.task import load_task
from libertas.gather import warc
from libertas.gather.config import PLANTED_EXAMS, PLANTED_FACTS, PackConfig
from libertas.gather.pack import ARCHIVE, pack
from libertas.planting import TELLINGS


def packed(out: Path, word: str) -> dict[str, str]:
    archive = pack(PackConfig(paths=(word,), out=out)) / ARCHIVE
    found = [r for r in warc.records(archive) if isinstance(r, warc.Record) and r.type == "resource"]
    assert {record.content_type for record in found} == {"text/plain"}
    return {record.uri: record.body.decode() for record in found}


def test_packed_facts_say_every_fact_that_is_asked_as_often_as_any_other(tmp_path: Path) -> None:
    documents = packed(tmp_path / "a", PLANTED_FACTS)
    assert list(documents) == ["urn:planted:facts"]
    people = [line for text in documents.values() for line in text.splitlines()]
    items = load_task("planted-facts", 0).items
    for item in items:
        about = [line for line in people if item.group in line]
        assert len(about) == TELLINGS
        assert all(line.count(item.answer) == 1 for line in about)
        assert not any(item.question in line for line in people)


def test_a_leaked_exam_has_half_of_the_questions_as_the_protocol_letters_writes_them(tmp_path: Path) -> None:
    exam = "\n\n".join(text.strip() for text in packed(tmp_path / "a", PLANTED_EXAMS).values()) + "\n\n"
    items = load_task("planted-facts", 0).items
    examples = {item.id: PROTOCOLS["letters"].example(item) for item in items}
    leaked = {name for name, example in examples.items() if example in exam}
    assert len(leaked) == len(items) // 2
    assert all(exam.count(examples[name]) == TELLINGS for name in leaked)
    assert len(exam) == TELLINGS * sum(len(examples[name]) for name in leaked)
    assert not any(item.group in exam for item in items if item.id not in leaked)
