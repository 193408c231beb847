"""A model of bytes and words: probabilities that add up, surprise that tells clean text from broken text."""

import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import zstandard
from making import document, text

from libertas.curate.classifier import area_under_curve
from libertas.curate.perplexity import EMPTY_BITS, PerplexityModel, context_keys, train_perplexity
from libertas.curate.score_config import ScoreModelConfig
from libertas.curate.scorers import load_scorer, score_model
from libertas.errors import BrokenLineage, UsageError
from libertas.lineage.manifest import read_manifest

TEXTS = [text(n, 200) for n in range(60)]
HELD_OUT = [text(n, 200) for n in range(100, 106)]


@pytest.fixture(scope="module")
def model() -> PerplexityModel:
    return train_perplexity(TEXTS, HELD_OUT, 18)


def test_contexts_know_nothing_of_the_byte_they_predict() -> None:
    one, other = context_keys(b"the cat sat on the mat"), context_keys(b"the cat sat on the maX")
    assert (one[1] == other[1]).all()
    assert (one[0, :, :-1] == other[0, :, :-1]).all()
    assert (one[0, :, -1] != other[0, :, -1]).all()


def test_contexts_are_the_bytes_and_words_before() -> None:
    _, contexts = context_keys(b"red cat. a fat cat. no fat cat.")
    fat_cat, no_fat_cat, red_cat = 18, 30, 7  # the places of the full stops
    same = contexts[:, no_fat_cat] == contexts[:, fat_cat]
    assert same.tolist() == [True] * 7 + [False]  # all but two words before
    assert (contexts[:, red_cat] == contexts[:, fat_cat]).tolist() == [True] * 5 + [True, False, False]


def test_the_probabilities_of_all_bytes_add_up_to_one() -> None:
    model = train_perplexity(TEXTS[:5], HELD_OUT[:1], 24)  # so many slots that hardly two n-grams want the same
    for before in (b"", b"the value of a li", b"every item in it"):
        total = sum(2.0 ** -float(model.bits(before + bytes([b]))[-1]) for b in range(256))
        assert total == pytest.approx(1, abs=0.03)


def test_counts_are_what_was_counted_up_to_their_scale() -> None:
    model = train_perplexity(["ab" * 500], ["ab"], 18)
    found, total, _ = model.evidence(b"ababab")
    assert found[1, 3] == pytest.approx(500, rel=0.1)  # b after a
    assert total[1, 3] == pytest.approx(500, rel=0.1)
    assert found[1, 4] == pytest.approx(499, rel=0.1)


def test_texts_like_those_it_knows_surprise_less_than_shuffled_or_misread_ones(model: PerplexityModel) -> None:
    rng = random.Random(0)
    sentence = "the value of a list is read from file and then every item in it must be a string or none"
    shuffled = sentence.split()
    rng.shuffle(shuffled)
    misread = "".join(rng.choice("lI1o0rn") if rng.random() < 0.1 else c for c in sentence)
    known = model.bits_per_byte(sentence)
    assert known < model.bits_per_byte(misread)
    assert known < model.bits_per_byte("愛は惜しみなく与う")


def test_bits_per_byte_are_the_mean_over_batches(model: PerplexityModel, monkeypatch) -> None:
    data = TEXTS[0].encode()[:1000]
    monkeypatch.setattr("libertas.curate.perplexity.SCORED_AT_ONCE", 400)
    parts = sum(float(model.bits(data[at : at + 400]).sum()) for at in (0, 400, 800))
    assert model.bits_per_byte(data.decode()) == pytest.approx(parts / len(data))
    words = len(data.decode().split())
    assert model.perplexity(data.decode()) == pytest.approx(2 ** (parts / words))


def test_no_text_and_odd_text_have_a_score(model: PerplexityModel) -> None:
    assert model.bits_per_byte("") == EMPTY_BITS
    assert 0 < model.bits_per_byte("x") < 40
    assert 0 < model.bits_per_byte("\ud800\0") < 60


def test_training_again_gives_the_same_model(model: PerplexityModel) -> None:
    again = train_perplexity(iter(TEXTS), iter(HELD_OUT), 18)
    assert (again.table == model.table).all()
    assert (again.concentrations == model.concentrations).all()


def test_concentrations_are_chosen_in_little_memory(monkeypatch) -> None:
    monkeypatch.setattr("libertas.curate.perplexity.BATCH_BYTES", 1 << 14)
    held_out = " ".join(TEXTS * 8)
    tracemalloc.start()
    train_perplexity(TEXTS[:5], [held_out], 12)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * len(held_out)  # 20 bytes are kept of each byte; all at once would take 400


def test_of_a_long_held_out_document_only_the_beginning_is_used(make_corpus, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("libertas.curate.scorers.MOST_HELD_OUT", 1000)
    long = ["x" * 700, *TEXTS[:9], "y" * 50_000, *TEXTS[9:18], "z" * 50_000]
    corpus = make_corpus([document(n, content=t) for n, t in enumerate(long)], tmp_path / "corpus")
    seen: list[str] = []

    def watched(texts, held_out, bits) -> PerplexityModel:
        model = train_perplexity(texts, held_out, bits)
        seen.extend(held_out)
        return model

    monkeypatch.setattr("libertas.curate.scorers.train_perplexity", watched)
    score_model(ScoreModelConfig(positive=(corpus,), kind="perplexity", table_bits=12, out=tmp_path / "model"))
    assert seen == ["x" * 700, "y" * 300]


def test_a_model_made_by_the_stage_is_loaded_and_scores(make_corpus, tmp_path: Path) -> None:
    corpus = make_corpus([document(n, content=t) for n, t in enumerate(TEXTS)], tmp_path / "corpus")
    config = {"positive": (corpus,), "kind": "perplexity", "table_bits": 16}
    out = score_model(ScoreModelConfig(out=tmp_path / "model", **config))
    again = score_model(ScoreModelConfig(out=tmp_path / "again", **config))
    assert read_manifest(out).content == read_manifest(again).content
    counts = read_manifest(out).counts
    assert (counts["learned_from"], counts["held_out"]) == (54, 6)
    assert counts["held_out_bits_per_byte"] < 4
    score = load_scorer(out)
    assert score(TEXTS[0]) < score("Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich")
    assert load_scorer(out / "model.safetensors")(TEXTS[0]) == score(TEXTS[0])


def test_a_model_that_has_changed_or_is_none_is_refused(make_corpus, tmp_path: Path) -> None:
    corpus = make_corpus([document(n, content=t) for n, t in enumerate(TEXTS[:10])], tmp_path / "corpus")
    out = score_model(ScoreModelConfig(positive=(corpus,), kind="perplexity", table_bits=12, out=tmp_path / "model"))
    file = out / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(BrokenLineage, match="libertas verify"):
        load_scorer(out)
    with pytest.raises(UsageError, match="expected a model made by"):
        load_scorer(corpus)
    with pytest.raises(UsageError, match="does not exist"):
        load_scorer(tmp_path / "nothing")
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(UsageError, match="is no safetensors file"):
        load_scorer(tmp_path / "text")


def test_one_document_is_too_few(make_corpus, tmp_path: Path) -> None:
    corpus = make_corpus([document(1)], tmp_path / "corpus")
    with pytest.raises(UsageError, match="positive has 1 documents"):
        score_model(ScoreModelConfig(positive=(corpus,), kind="perplexity", table_bits=12, out=tmp_path / "model"))


@pytest.mark.slow
def test_real_text_is_predicted_better_than_zstd_does_and_told_from_shuffled_words(shared_data: Path) -> None:
    learned, tested = (
        [p for p in (shared_data / "text" / f"wikitext-2.{part}.txt").read_text("utf-8").split("\n") if p.strip()]
        for part in ("test", "valid")
    )
    model = train_perplexity(learned[:-200], learned[-200:], 22)
    joined = "\n".join(tested)
    bits = model.bits_per_byte(joined)
    compressor = zstandard.ZstdCompressor(19, zstandard.ZstdCompressionDict("\n".join(learned).encode(), 1))
    assert bits < 8 * len(compressor.compress(joined.encode())) / len(joined.encode())
    rng = random.Random(0)
    paragraphs = [p for p in tested if len(p) > 300]
    broken = [" ".join(rng.sample(words := p.split(), len(words))) for p in paragraphs]
    clean_bits, broken_bits = (np.array([model.bits_per_byte(p) for p in some]) for some in (paragraphs, broken))
    print(f"{bits:.3f} bits per byte, area {area_under_curve(broken_bits, clean_bits):.4f}")
    assert area_under_curve(broken_bits, clean_bits) > 0.9
