"""Windows, the bytes of tokens, and bits per byte as others define them."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from libertas.corpus import CorpusWriter
from libertas.document import Document, document_id
from libertas.evaluate.documents import site_of, training_parts
from libertas.evaluate.summary import DocumentRecord, TrainingPart, bits_per_byte
from libertas.evaluate.tasks.bits_per_byte import (
    HARNESS_KEEPS,
    Stretch,
    Window,
    bytes_of_tokens,
    half_context,
    rolling_log_probabilities,
    stretches,
    tokens_read,
    windows,
)
from libertas.lineage.artifact import Draft
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize

NATS = math.log(2)


def alone(model, tokens):
    """Log-probability of each token but the first, from one plain forward pass."""
    with torch.no_grad():
        logits = model(torch.tensor([tokens[:-1]]))[0].log_softmax(-1)
    return np.array([float(logits[i, t]) for i, t in enumerate(tokens[1:])])


@given(st.integers(1, 300), st.integers(1, 70), st.data())
def test_windows_predict_every_token_once_and_keep_what_was_asked(length, context, data):
    keep = data.draw(st.integers(1, context))
    found = windows(length, context, keep)
    assert [position for w in found for position in range(w.first, w.stop)] == list(range(1, length))
    for window in found:
        assert window.stop - 1 - window.start <= context
        assert window.start == 0 or window.first - window.start >= keep
    assert all(one.stop == two.first for one, two in pairwise(found))


def test_windows_by_hand():
    # 11 tokens after end-of-text, context 4: lm-eval predicts 4, 4, 3, and the last window reads back to token 7
    assert windows(12, 4, 1) == [Window(0, 1, 5), Window(4, 5, 9), Window(7, 9, 12)]
    # keeping half: 4, then 3 at a time
    assert windows(12, 4, 2) == [Window(0, 1, 5), Window(3, 5, 8), Window(6, 8, 11), Window(7, 11, 12)]


@pytest.mark.parametrize("keep", [1, 4, 8])
@pytest.mark.parametrize("length", [1, 2, 8, 9, 16, 17, 40, 100])
def test_windows_are_those_of_lm_eval(length, keep):
    utils = pytest.importorskip("lm_eval.utils", reason="lm-eval is not installed")
    tokens = list(range(1, length))
    ours = [Window(w.start, w.first, w.stop) for w in windows(length, 8, keep)]
    theirs = []
    for read, predicted in utils.get_rolling_token_windows(tokens, 0, 8, keep):
        whole = [*read, predicted[-1]]
        theirs.append(Window(whole[0], predicted[0], predicted[-1] + 1))  # tokens are their own places
    assert ours == theirs


def test_a_short_document_scores_what_one_pass_after_end_of_text_gives(model):
    tokens = np.array([5, 250, 31, 31, 8])
    ours, harness = rolling_log_probabilities(model, [tokens], 0, [half_context(64), HARNESS_KEEPS])
    assert ours[0] == pytest.approx(alone(model, (0, *tokens.tolist())), abs=1e-4)
    assert harness[0] == pytest.approx(ours[0], abs=1e-6)


def test_a_long_document_scores_each_window_by_hand(model):
    tokens = np.random.default_rng(2).integers(1, 300, 150)
    (ours, empty), (harness, _) = rolling_log_probabilities(model, [tokens, tokens[:0]], 0, [32, 1])
    sequence = [0, *tokens.tolist()]
    first = alone(model, sequence[:65])  # context 64: reads 0..63, predicts 1..64
    second, third = alone(model, sequence[33:98])[-33:], alone(model, sequence[66:131])[-33:]
    assert ours == pytest.approx(np.concatenate([first, second, third, alone(model, sequence[86:])[-20:]]), abs=1e-4)
    last = alone(model, sequence[86:])[-22:]
    assert harness == pytest.approx(np.concatenate([first, alone(model, sequence[64:129]), last]), abs=1e-4)
    assert empty.shape == (0,)


def test_tokens_read_counts_end_of_text_and_starts_over_in_each_window():
    assert tokens_read(12, 4, 1).tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 2, 3, 4]
    assert tokens_read(1, 4, 1).tolist() == []


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_the_bytes_of_tokens_add_up_to_the_text(text):
    cuts = sorted({0, len(text) // 3, len(text) // 2, len(text)})
    offsets = [pair for pair in pairwise(cuts) if text]
    found = bytes_of_tokens(text, offsets)
    assert found.tolist() == [len(text[a:b].encode()) for a, b in offsets]


def test_tokens_that_share_a_character_or_skip_a_space_lose_no_byte():
    # "é" in two tokens, " b" with its space left out of the offsets, and a last newline that no token has
    assert bytes_of_tokens("é b\n", [(0, 1), (0, 1), (2, 3)]).tolist() == [2, 0, 3]


def test_stretches_are_powers_of_two_of_tokens_read():
    found = stretches(np.array([1, 2, 3, 4, 7, 8]), np.array([1, 2, 3, 4, 5, 6]), np.array([-1.0, -2, -3, -4, -5, -6]))
    assert found == (Stretch(1, 1, 1, -1.0), Stretch(2, 2, 5, -5.0), Stretch(4, 2, 9, -9.0), Stretch(8, 1, 6, -6.0))


def record(name: str, component: str, size: int, tokens: int, bits: float, site: str = "") -> DocumentRecord:
    """A document that costs the model so many bits, and twice as many in lm-eval's windows."""
    return DocumentRecord(
        document=name,
        component=component,
        url="",
        site=site or name,
        bytes=size,
        tokens=tokens,
        log_probability=-bits * NATS,
        harness_log_probability=-2 * bits * NATS,
        ngram_log_probability=-3 * bits * NATS,
        zstd_bytes=size // 2,
        zstd_primed_bytes=size // 4,
        xz_bytes=size // 5,
        stretches=(Stretch(1, tokens, size, -bits * NATS),) if tokens else (),
        overlap=None,
    )


RECORDS = [
    record("a", "code", 100, 40, 100.0),
    record("b", "code", 300, 100, 150.0),
    record("c", "web", 200, 50, 400.0),
    record("d", "web", 200, 50, 440.0),
]


def test_micro_macro_and_rivals_by_hand():
    code, web, everything = bits_per_byte(RECORDS)
    assert code["model"]["mean"] == 250 / 400
    assert code["macro"]["model"]["mean"] == (1.0 + 0.5) / 2
    # the delta method: parts (100 - 62.5) / 400 and its opposite; their clusters' sum of squares, times 2 / 1
    assert code["model"]["stderr"] == pytest.approx(math.sqrt(2 * 2 * (37.5 / 400) ** 2))
    assert code["macro"]["model"]["stderr"] == pytest.approx(np.std([1.0, 0.5], ddof=1) / math.sqrt(2))
    assert (web["zstd"]["mean"], web["zstd_primed"]["mean"], web["xz"]["mean"]) == (4.0, 2.0, 1.6)
    assert web["xz"]["stderr"] == 0.0
    assert everything["ngram"]["mean"] == pytest.approx(3 * 1090 / 800)
    assert everything["lm_eval"]["mean"] == pytest.approx(2 * 1090 / 800)
    assert everything["tokens_per_byte"] == 240 / 800
    assert (everything["by_mixture"], everything["pile"]) == (None, None)


def test_the_pile_papers_number_takes_tokens_per_byte_from_the_whole_component():
    training = {"code": TrainingPart(tokens=500, bytes=1000), "web": TrainingPart(tokens=900, bytes=3000)}
    code, web, everything = bits_per_byte(RECORDS, training)
    assert code["pile"]["mean"] == pytest.approx(500 / 1000 * (250 * NATS / 140) / NATS)
    assert web["pile"]["mean"] == pytest.approx(900 / 3000 * 840 / 100)
    assert everything["pile"]["mean"] == pytest.approx(
        (1000 * code["pile"]["mean"] + 3000 * web["pile"]["mean"]) / 4000
    )
    assert everything["by_mixture"]["weights"] == {"code": 0.25, "web": 0.75}
    assert everything["by_mixture"]["model"]["mean"] == pytest.approx(0.25 * 250 / 400 + 0.75 * 840 / 400)
    errors = [0.25 * code["model"]["stderr"], 0.75 * web["model"]["stderr"]]
    assert everything["by_mixture"]["model"]["stderr"] == pytest.approx(math.hypot(*errors))


def test_the_pile_papers_number_is_ours_where_training_is_the_scored_text():
    training = {"code": TrainingPart(140, 400), "web": TrainingPart(100, 400)}
    for row in bits_per_byte(RECORDS, training):
        assert row["pile"]["mean"] == pytest.approx(row["model"]["mean"])
        if row["component"] != "all":
            assert row["pile"]["stderr"] == pytest.approx(
                _stderr_of_a_mean([100 / 140 * 140 / 400, 150 / 400], [40, 100], 140)
                if row["component"] == "code"
                else row["model"]["stderr"]
            )


def _stderr_of_a_mean(bits_per_component_byte: list[float], tokens: list[int], total: int) -> float:
    value = sum(bits_per_component_byte)
    parts = [bits - value * own / total for bits, own in zip(bits_per_component_byte, tokens, strict=True)]
    return math.sqrt(2 * sum(part**2 for part in parts))


def test_documents_of_one_site_widen_the_error_and_a_single_site_is_no_cluster():
    four = [record(str(n), "web", 100, 50, 100.0 + 50 * (n // 2), site=f"s{n // 2}") for n in range(4)]
    (row,) = bits_per_byte(four)
    assert (row["sites"], row["documents"]) == (2, 4)
    assert row["model"]["stderr"] == pytest.approx(math.sqrt(2 * 2 * (50 / 400) ** 2))
    (row,) = bits_per_byte([record(str(n), "web", 100, 50, 100.0 + 50 * (n // 2), site="s") for n in range(4)])
    assert row["model"]["stderr"] == pytest.approx(np.std([1, 1, 1.5, 1.5], ddof=1) / 2)


def test_a_component_of_one_site_leaves_the_total_its_error():
    training = {"code": TrainingPart(500, 1000), "web": TrainingPart(900, 3000)}
    one_site = [replace(r, site="s") for r in RECORDS[2:]]
    apart, together = (bits_per_byte([*RECORDS[:2], *own], training)[-1] for own in (RECORDS[2:], one_site))
    assert together["by_mixture"] == apart["by_mixture"]
    assert together["pile"] == apart["pile"]
    assert together["model"]["stderr"] != apart["model"]["stderr"]


def test_an_empty_document_counts_and_has_no_bits_per_byte_of_its_own():
    (row,) = bits_per_byte([*RECORDS[:2], record("e", "code", 0, 0, 0.0)])
    assert (row["documents"], row["macro"]["model"]["n"], row["macro"]["model"]["mean"]) == (3, 2, 0.75)


def test_positions_add_up_to_the_whole():
    (row,) = bits_per_byte(RECORDS[:2])
    (place,) = row["positions"]
    assert (place["after"], place["tokens"], place["bytes"], place["documents"]) == (1, 140, 400, 2)
    assert place["bits_per_byte"] == row["model"]
    assert place["bits_per_token"]["mean"] == pytest.approx(250 / 140)


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.example.org/a", "example.org"),
        ("http://example.org:80", "example.org"),
        ("file:///x/y", "id"),
        ("https://[", "id"),
        (None, "id"),
        ("u3", "id"),
    ],
)
def test_a_site_is_a_host_and_a_local_file_is_its_own(url, site):
    assert site_of(Document("id", "", {"url": url})) == site


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """Settings of a corpus made here."""

    out: Path


def test_training_parts_are_the_tokens_and_bytes_that_training_read(tmp_path):
    texts = {"code": ["x = 1\n" * 20, "y = 2\n" * 20], "web": ["some words of a page " * 30]}
    draft = Draft(kind="corpus", out=tmp_path / "mix", config=Mixed(out=tmp_path), inputs={}, code="libertas.corpus")
    with draft.build() as folder:
        for part in ("train", "validation"):
            with CorpusWriter(folder / part, part) as writer:
                for name, own in texts.items():
                    for number, text in enumerate(own):
                        writer.add(Document(document_id(f"{part}{name}{number}", "d"), text, {"component": name}))
        draft.counts["components"] = {"code": {"bytes": 240}, "web": {}}
    store = tokenize(TokenizeConfig(corpus=tmp_path / "mix", out=tmp_path / "tokens", vocabulary=270))
    encoded = store.tokenizer().encode_batch(texts["code"], add_special_tokens=False)
    assert training_parts(store) == {"code": TrainingPart(sum(len(one.ids) for one in encoded), 240)}
