"""A linear model of words: what it sees, what it learns, and that its probabilities are true."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from making import document, text

from libertas.curate.classifier import (
    Classifier,
    area_under_curve,
    calibrated,
    classified_words,
    train_classifier,
)
from libertas.curate.score_config import ScoreModelConfig
from libertas.curate.scorers import load_scorer, score_model
from libertas.errors import UsageError
from libertas.lineage.manifest import read_manifest

ROWS = 1 << 20


def seen(text: str) -> list[int]:
    return classified_words(text, ROWS).tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Cat", "the cat"),
        ("the  \t cat", "the cat"),
        ("in 1999", "in 2024"),
        ("Ωμέγα ÉTÉ", "ωμέγα été"),
        ("a" * 24 + "xyz", "a" * 24),
    ],
)
def test_texts_that_are_the_same_to_the_model(one: str, other: str) -> None:
    assert seen(one) == seen(other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("  ", 0),
        ("cat", 1),
        ("the cat sat", 3),
        ("cat, dog!", 4),
        ("a\nb", 3),
        ("猫が", 2),
        ("แมว", 3),
        ("кот", 1),
    ],
)
def test_a_text_has_its_words_and_their_pairs(text: str, words: int) -> None:
    assert len(seen(text)) == max(0, 2 * words - 1)


def test_words_and_pairs_have_rows_of_their_own() -> None:
    assert len(set(seen("one two three four five six seven eight nine ten one"))) == 20
    assert seen("cat dog")[2:] != seen("dog cat")[2:]
    assert max(seen(text(1, 2000))) < ROWS
    many = classified_words(" ".join(f"w{'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10]}" for n in range(100)), 1 << 12)
    assert len(np.unique(many)) > 190


def test_a_document_is_like_the_documents_whose_words_it_has() -> None:
    good = [f"a fine essay on {w} and what it means for {w}" for w in ("art", "law", "war", "sea", "soil") * 40]
    bad = [f"click here to buy {w}, subscribe now to {w} !!" for w in ("shoes", "cards", "pills", "bags") * 50]
    documents = [classified_words(t, 1 << 14) for t in good + bad]
    model = train_classifier(documents, np.arange(len(documents)) < len(good), 1 << 14, 0)
    assert model.probability("an essay on music and what it means") > 0.7
    assert model.probability("click to subscribe, buy music now !!") < 0.3
    again = train_classifier(documents, np.arange(len(documents)) < len(good), 1 << 14, 0)
    assert (again.weights == model.weights).all()


def test_no_words_say_nothing() -> None:
    model = Classifier(np.ones(16, np.float32), 0.0)
    assert model.probability("") == 0.5
    assert model.probability("cat") == pytest.approx(1 / (1 + np.exp(-1)))


def test_calibration_finds_the_slope_and_the_shift_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=20_000)
    positive = rng.random(20_000) < 1 / (1 + np.exp(-3 * logits - 0.5))
    model, slope = calibrated(Classifier(np.ones(1, np.float32), 0.0), logits, positive)
    moved = 0.5 - np.log(positive.mean() / (1 - positive.mean()))  # as both classes count the same
    assert model.weights[0] == pytest.approx(slope) == pytest.approx(3, rel=0.05)
    assert model.bias == pytest.approx(moved, abs=0.1)


def test_calibration_of_classes_that_are_far_apart_stays_finite() -> None:
    model, _ = calibrated(
        Classifier(np.ones(1, np.float32), 0.0), np.array([5.0, 6.0, -5.0]), np.array([True, True, False])
    )
    assert 0 < model.weights[0] < 100


def test_calibration_never_turns_a_model_round() -> None:
    backwards = np.array([-2.0, -1.0, 1.0, 2.0]), np.array([True, True, False, False])
    model, slope = calibrated(Classifier(np.array([1.0, -1.0], np.float32), 0.3), *backwards)
    assert slope == 0
    assert model.probability("any text") == 0.5


def test_area_under_the_curve_counts_pairs() -> None:
    assert area_under_curve(np.array([3.0, 1.0]), np.array([2.0, 1.0])) == (1 + 1 + 0 + 0.5) / 4


def test_a_classifier_made_by_the_stage_is_loaded_and_scores(make_corpus, tmp_path: Path) -> None:
    good = make_corpus([document(n, content=text(n)) for n in range(50)], tmp_path / "good")
    bad = make_corpus(
        [document(n, content=text(n).upper().replace(" ", " | ")) for n in range(50, 90)], tmp_path / "bad"
    )
    config = {"positive": (good,), "negative": (bad,), "table_bits": 14}
    out = score_model(ScoreModelConfig(out=tmp_path / "model", **config))
    again = score_model(ScoreModelConfig(out=tmp_path / "again", **config))
    assert read_manifest(out).content == read_manifest(again).content
    counts = read_manifest(out).counts
    assert (counts["learned_from"], counts["learned_from_positive"]) == (81, 45)
    assert (counts["calibrated_on"], counts["held_out"], counts["held_out_positive"]) == (5, 4, 2)
    assert counts["calibration_slope"] > 0
    assert counts["held_out_area_under_curve"] == 1.0
    assert [row["probability"] for row in counts["held_out_thresholds"]] == [0.1, 0.25, 0.5, 0.75, 0.9]
    score = load_scorer(out)
    assert score(text(1000)) > 0.5 > score("the | value | of | a | list")


def test_a_model_is_not_measured_on_the_documents_that_it_was_calibrated_on(make_corpus, tmp_path: Path) -> None:
    """Every second held-out document looks like the other class: the slope is of those, the area of the rest."""
    good = [document(n, content="a " * 9) for n in range(40)]
    bad = [document(n, content="b " * 9) for n in range(40, 80)]
    for n in (0, 20):
        good[n], bad[n] = document(n, content="b " * 9), document(n + 40, content="a " * 9)
    paths = (make_corpus(good, tmp_path / "good"),), (make_corpus(bad, tmp_path / "bad"),)
    out = score_model(ScoreModelConfig(positive=paths[0], negative=paths[1], table_bits=12, out=tmp_path / "model"))
    counts = read_manifest(out).counts
    assert (counts["calibration_slope"], counts["held_out_area_under_curve"]) == (0, 1)
    assert load_scorer(out)("a a a") == 0.5


def test_too_few_documents_to_calibrate_and_to_measure_are_refused(make_corpus, tmp_path: Path) -> None:
    corpora = [make_corpus([document(n) for n in range(a, a + 10)], tmp_path / str(a)) for a in (0, 10)]
    config = ScoreModelConfig(positive=(corpora[0],), negative=(corpora[1],), table_bits=12, out=tmp_path / "model")
    with pytest.raises(
        UsageError, match=r"positive has 10 documents .* expected 11 or more, so that 2 can be held out"
    ):
        score_model(config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"positive": ()}, "positive is empty"),
        ({"negative": ()}, "negative is empty"),
        ({"kind": "perplexity"}, "negative is given"),
        ({"kind": "bert"}, "expected perplexity or classifier"),
        ({"table_bits": 40}, "expected 12 to 24"),
        ({"megabytes": 0.0}, "expected more than 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ScoreModelConfig(**{"positive": (Path("p"),), "negative": (Path("n"),), "out": Path("o"), **settings})


@pytest.mark.slow
def test_it_tells_the_text_of_real_pages_from_what_is_around_it(shared_data: Path) -> None:
    """Segments of a page that are its text, and those that are menus and notices; pages are split, not segments."""
    lines = (shared_data / "web" / "extraction-dev.gold.jsonl").read_bytes().splitlines()
    rows = list(map(orjson.loads, lines))
    sets = []
    for part in (rows[: len(rows) * 4 // 5], rows[len(rows) * 4 // 5 :]):
        texts = [(t, key == "with") for row in part for key in ("with", "without") for t in row[key]]
        sets.append(([classified_words(t, 1 << 18) for t, _ in texts], np.array([label for _, label in texts])))
    (learned, labels), (tested, wanted) = sets
    model = train_classifier(learned, labels, 1 << 18, 0)
    logits = np.array([model.logit(found) for found in tested])
    area = area_under_curve(logits[wanted], logits[~wanted])
    print(f"{len(learned)} and {len(tested)} segments, area {area:.4f}")
    assert area > 0.8
