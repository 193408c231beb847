"""Origins: from a token to its document, the steps that read it, and its bytes."""

import random
import shutil
from pathlib import Path

import pytest

from libertas.errors import BrokenLineage, UsageError
from libertas.lineage.fingerprint import digest
from libertas.lineage.manifest import read_manifest
from libertas.trace.origin import Origins, exposure


def predicted_at(origins: Origins, position: int, steps: int) -> list[int]:
    """Steps in whose batches a position is a target, by going through all batches."""
    length = origins.order.length
    return [
        step
        for step in range(1, steps + 1)
        if any(0 < position - int(number) * length <= length for number in origins.order.batch_of(step))
    ]


def test_any_token_leads_to_bytes_that_say_what_its_document_says(life: Path) -> None:
    origins = Origins.of_model(life / "run")
    tokenizer, store = origins.store.tokenizer(), origins.store
    for position in [0, len(store) - 1, *random.Random(1).sample(range(len(store)), 60)]:
        origin = origins.origin(position)
        assert origin.warc is not None
        assert origin.payload is not None
        assert digest(origin.payload) == origin.warc.payload_digest
        assert origin.payload.decode() == origin.document.text
        tokens = store.document_tokens(origin.number)
        assert tokenizer.decode(tokens[:-1].tolist()) == origin.document.text
        assert origin.file == life / "archives" / origin.document.meta["component"] / "pack.warc.gz"


def test_archives_of_one_name_are_told_apart_by_record_id(life: Path) -> None:
    origins = Origins.of_model(life / "run")
    every = [origins.origin(int(p)) for p in origins.store.offsets[:-1]]
    assert {o.document.meta["component"] for o in every} == {"notes", "letters"}
    assert {o.warc.file for o in every if o.warc} == {"pack.warc.gz"}


def test_the_steps_are_those_whose_batches_predict_the_token_in_any_copy(life: Path) -> None:
    origins = Origins.of_model(life / "run")
    store, seen = origins.store, set()
    for position in random.Random(2).sample(range(len(store)), 40):
        origin = origins.origin(position)
        copies = [n for n in range(len(store.document_ids)) if store.document_id(n) == origin.document.id]
        assert origins.corpus.numbers_of(origin.document.id) == copies
        assert len(copies) == (2 if origin.document.meta["component"] == "notes" else 1)
        within = position - int(store.offsets[origin.number])
        expected = {s for n in copies for s in predicted_at(origins, int(store.offsets[n]) + within, 60)}
        assert origin.steps == sorted(expected)
        seen.add(len(origin.steps))
    assert max(seen) > 2  # several passes over the data, so the test says something


def test_a_checkpoint_has_read_what_its_run_had_read_by_then(life: Path) -> None:
    whole, early = exposure(life / "run"), exposure(life / "run" / "checkpoints" / "step-00000016")
    assert (early.order, early.tokens) == (whole.order, whole.tokens)
    assert (early.steps, whole.steps) == (16, 60)


def test_only_models_have_read_anything(life: Path) -> None:
    with pytest.raises(UsageError, match="is a token store; expected a run or a checkpoint"):
        exposure(life / "tokens")


def test_the_decisions_about_a_document_are_found(life: Path) -> None:
    origins = Origins.of_model(life / "run")
    document = origins.origin(0).document
    words = float(len(document.text.split()))
    assert [(d.rule, d.reason, d.value) for d in origins.decided(document.id)] == [
        ("gopher_words", None, words),
        ("c4_lorem_ipsum", None, 0.0),
    ]


def test_a_changed_byte_in_the_record_is_noticed(life: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(life, tmp_path / "life")
    origin = Origins.of_model(moved / "run").origin(0)
    assert origin.warc is not None
    assert origin.file is not None
    data = bytearray(origin.file.read_bytes())
    data[origin.warc.offset + origin.warc.length // 2] ^= 0xFF
    origin.file.write_bytes(data)
    with pytest.raises(BrokenLineage, match=origin.warc.record_id):
        Origins.of_model(moved / "run").origin(0)


def test_an_archive_that_is_gone_is_named(life: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(life, tmp_path / "life")
    for component in ("notes", "letters"):
        (moved / "archives" / component / "pack.warc.gz").unlink()
    with pytest.raises(BrokenLineage, match=r"pack\.warc\.gz cannot be read"):
        Origins.of_model(moved / "run").origin(0)


def test_the_order_of_a_run_is_the_one_in_its_manifest(life: Path) -> None:
    counts = read_manifest(life / "run").counts
    order = exposure(life / "run").order
    assert {"tokens": order.tokens, "length": order.length, "batch": order.batch, "seed": order.seed} == counts["order"]
