"""Corpora -> a scorer: models of quality made from documents that a user holds up as good (and, if wanted, as bad).

A model is an artifact of kind `scorer` with one file, `model.safetensors`. `load_scorer` makes a function of a text of
it: bits per byte for a perplexity model, the probability of being like the positive documents for a classifier.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from libertas.corpus import Corpus
from libertas.curate.classifier import (
    Classifier,
    Rows,
    area_under_curve,
    calibrated,
    classified_words,
    train_classifier,
)
from libertas.curate.perplexity import PerplexityModel, train_perplexity
from libertas.curate.score_config import ScoreModelConfig
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.manifest import read_manifest_of, require_sound
from libertas.terminal import progress

MODEL_FILE = "model.safetensors"
HELD_OUT_EVERY = 10
"""The first document of so many is kept from training, to choose and to measure with."""
MOST_HELD_OUT = 500_000
"""Characters of text that a perplexity model's concentrations are chosen by."""
THRESHOLDS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Probabilities for which precision and recall are recorded."""


def score_model(config: ScoreModelConfig) -> Path:
    """Make the model that the config describes, or find it made; returns its directory.

    Raises:
        UsageError: an input is no corpus, or has too few documents to hold some out.
    """
    inputs = {"positive": config.positive} | ({"negative": config.negative} if config.negative else {})
    draft = Draft(kind="scorer", out=config.out, config=config, inputs=inputs, code=__name__)
    positive, negative = ([Corpus.open(path) for path in paths] for paths in (config.positive, config.negative))
    if draft.finished():
        return config.out
    with draft.build() as folder:
        if config.kind == "perplexity":
            tensors = _make_perplexity(config, positive, draft)
        else:
            tensors = _make_classifier(config, positive, negative, draft)
        save_file(tensors, folder / MODEL_FILE, {"kind": config.kind})
    return config.out


Tensors = dict[str, NDArray[np.generic]]


def _make_perplexity(config: ScoreModelConfig, positive: Sequence[Corpus], draft: Draft) -> Tensors:
    held_out: list[str] = []
    room = MOST_HELD_OUT
    sizes: list[int] = []

    def learned() -> Iterator[str]:
        """What to count, while the held-out texts are put aside for later."""
        nonlocal room
        for text, is_held_out in sampled_texts(positive, config.megabytes, "Counting n-grams"):
            if not is_held_out:
                sizes.append(len(text.encode("utf-8", "replace")))
                yield text
            elif room > 0:
                held_out.append(text[:room])
                room -= len(text)

    model = train_perplexity(learned(), held_out, config.table_bits)
    _require_parts(len(sizes), len(held_out), 1, "positive")
    together = "\n\n".join(held_out)
    draft.counts.update(
        learned_from=len(sizes),
        held_out=len(held_out),
        text_bytes=sum(sizes),
        held_out_bits_per_byte=round(model.bits_per_byte(together), 4),
        held_out_perplexity_per_word=round(model.perplexity(together), 2),
        slots_in_use=round(float((model.table & 255 > 0).mean()), 4),
    )
    return {"table": model.table, "concentrations": model.concentrations}


def _make_classifier(
    config: ScoreModelConfig, positive: Sequence[Corpus], negative: Sequence[Corpus], draft: Draft
) -> Tensors:
    rows = 1 << config.table_bits
    learned, calibrating, measured = (LabelledDocuments([], []) for _ in range(3))
    for corpora, label, name in ((positive, True, "positive"), (negative, False, "negative")):
        held_out = 0
        for text, is_held_out in sampled_texts(corpora, config.megabytes, f"Reading {name} documents"):
            sample = (calibrating, measured)[held_out % 2] if is_held_out else learned
            held_out += is_held_out
            sample.documents.append(classified_words(text, rows))
            sample.labels.append(label)
        _require_parts(learned.labels.count(label), held_out, 2, name)
    model = train_classifier(learned.documents, np.array(learned.labels), rows, config.seed)
    raw, wanted = measured.logits(model), np.array(measured.labels)
    model, slope = calibrated(model, calibrating.logits(model), np.array(calibrating.labels))
    chances = 1 / (1 + np.exp(-measured.logits(model)))
    draft.counts.update(
        learned_from=len(learned.labels),
        learned_from_positive=sum(learned.labels),
        calibrated_on=len(calibrating.labels),
        calibration_slope=round(slope, 4),
        held_out=len(measured.labels),
        held_out_positive=sum(measured.labels),
        held_out_area_under_curve=round(area_under_curve(raw[wanted], raw[~wanted]), 4),
        held_out_thresholds=[_at_threshold(chances, wanted, least) for least in THRESHOLDS],
    )
    return {"weights": model.weights, "bias": np.array([model.bias])}


@dataclass(frozen=True, slots=True)
class LabelledDocuments:
    """Documents of both classes, for one purpose."""

    documents: list[Rows]
    labels: list[bool]

    def logits(self, model: Classifier) -> NDArray[np.float64]:
        """What a model says of each."""
        return np.array([model.logit(found) for found in self.documents])


def _at_threshold(chances: NDArray[np.float64], wanted: NDArray[np.bool_], least: float) -> dict[str, float]:
    """Precision and recall where a document with at least this probability is taken, both classes counting the same."""
    recall, wrong = float((chances[wanted] >= least).mean()), float((chances[~wanted] >= least).mean())
    precision = recall / (recall + wrong) if recall + wrong else 1.0
    return {"probability": least, "precision": round(precision, 4), "recall": round(recall, 4)}


def sampled_texts(corpora: Sequence[Corpus], megabytes: float, title: str) -> Iterator[tuple[str, bool]]:
    """About so much of the corpora's text, spread evenly by id, and of each text whether it is to be held out."""
    total = sum(int(np.load(c.folder / "documents.npy", mmap_mode="r")["bytes"].sum()) for c in corpora)
    most = min(1.0, megabytes * 1e6 / max(1, total)) * 2**32
    with progress(title, sum(map(len, corpora))) as bar:
        taken = 0
        for corpus in corpora:
            for document in corpus:
                bar.advance(1, "documents")
                if int(document.id[:8], 16) < most and document.text.strip():
                    yield document.text, taken % HELD_OUT_EVERY == 0
                    taken += 1


def _require_parts(learned_from: int, held_out: int, least_held_out: int, name: str) -> None:
    if not learned_from or held_out < least_held_out:
        least = max(2, (least_held_out - 1) * HELD_OUT_EVERY + 1)
        raise UsageError(
            f"{name} has {learned_from + held_out} documents with text in the sample; expected {least} or more, so "
            f"that {least_held_out} can be held out; give more documents or raise --megabytes"
        )


@cache
def load_scorer(path: Path) -> Callable[[str], float]:
    """The function from a text to its score that a model is: bits per byte, or a probability.

    Args:
        path: of the artifact that `libertas score-model` made, or of a `model.safetensors` of one.

    Raises:
        UsageError: it is something else.
        BrokenLineage: a byte of the artifact has changed.
    """
    file = path
    if path.is_dir():
        expected = "a model made by `libertas score-model`"
        require_sound(path, read_manifest_of(path, "scorer", expected))
        file = path / MODEL_FILE
    if not file.is_file():
        raise UsageError(f"{path} does not exist; expected a model made by `libertas score-model`")
    try:
        with safe_open(file, "numpy") as stored:
            kind = (stored.metadata() or {}).get("kind")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UsageError(
            f"{file} is no safetensors file ({error}); expected a model made by `libertas score-model`"
        ) from error
    if kind == "perplexity":
        return PerplexityModel(tensors["table"], tensors["concentrations"]).bits_per_byte
    if kind == "classifier":
        return Classifier(tensors["weights"], float(tensors["bias"][0])).probability
    raise UsageError(f"{file} holds other tensors; expected a model made by `libertas score-model`")
