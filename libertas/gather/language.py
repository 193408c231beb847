"""Which language a text is in: script evidence and a linear model over hashed character n-grams.

The script of a text leaves only the languages written in it; among those the model of `models/language.safetensors`
decides, which `scripts/train_language_model.py` makes. It has the form of fastText's language identification (Joulin et
al. 2016, "Bag of tricks for efficient text classification"): the mean of the n-grams' vectors, then one linear layer.

Shapes: `G` n-grams, `D` dimensions, `C` classes of one script.
"""

import math
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from libertas.errors import UsageError
from libertas.gather.iso639 import TWO_LETTERS
from libertas.gather.ngrams import BITS, script_of_counts, seen
from libertas.gather.script import COMMON
from libertas.gather.weights import stored_weights

MODEL = Path(__file__).parent / "models" / "language.safetensors"
MODEL_BLAKE3 = "7853b0fd9a4376cf5d2fb017721254917e0fd10680d8eeba8982b4403fd19e9e"
"""Digest of the model's file: the weights decide what a corpus says of itself, so they are part of the code."""
CHARACTERS = 2_000
"""Only so much of a text is looked at for its one label. Of 1,006 real pages on which py3langid and
lid.176 agree, all get the same label from 1,000 or 2,000 characters, all but two from 500 or 10,000."""
LOOKED_AT = 10_000
"""Paragraphs of a mixed document are looked for in so many characters at its beginning, ..."""
PARAGRAPHS = 12
"""... of which so many are labelled, ..."""
PARAGRAPH_CHARACTERS = (100, 400)
"""... if they have the first number of characters, by what stands in the second."""
LEAST_SHARE = 0.1
"""A language of a mixed document has at least this share of the labelled characters."""
SURE = 0.9
"""A paragraph in another language than the document counts from this confidence."""
UNSURE = "und"
"""BCP-47 for a language that could not be told."""
UNSURE_BELOW = 0.4
"""Less confidence than this is none."""
FEWEST_LETTERS = 4
"""A text with no more is in no language."""
SEVERAL = frozenset({"az", "bs", "ku", "mn", "sr", "tk", "ug", "uz", "zh"})
"""Languages that are written in several scripts today: their labels always name it. Elsewhere the usual script goes
without saying, as with the subtag registry's Suppress-Script (RFC 5646, 3.1.9)."""
ALIEN_ALIASES = {"no": "nb", "als": "gsw", "sh": "sr", "bh": "bho", "eml": "egl", "cmn": "zh", "arb": "ar"}
"""Two-letter and Wikipedia codes of other models' labels for what is called otherwise here."""


@dataclass(frozen=True, slots=True)
class Identified:
    """The language of a text."""

    language: str
    """BCP-47, with a script where the language is written in several; `und` where unsure."""
    script: str
    """ISO 15924, such as `Latn`; `Zyyy` for a text without letters."""
    confidence: float
    """Probability that the language is the best guess, 0 to 1; low where `und`."""


@dataclass(frozen=True, slots=True)
class _Model:
    """What the model's file holds."""

    vectors_GD: NDArray[np.float32]
    """One for each row that an n-gram may be hashed to."""
    by_script: dict[str, tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]
    """For a script: labels, weights [C, D], bias [C], logarithm of the prior [C]."""
    usual: dict[str, str]
    """Of a language: the script that most text in a language is written in."""
    softening: tuple[float, float]
    """Logits are divided by the first number plus the second over the square root of the number of n-grams, so that few
    n-grams do not speak as surely as many; then the prior counts."""


def identify(text: str) -> Identified:
    """Language, script and confidence of a text, by its first 2,000 characters."""
    rows_G, letters, counts = seen(text[:CHARACTERS])
    script = script_of_counts(counts)
    model = _model()
    if letters <= FEWEST_LETTERS or script not in model.by_script:
        return Identified(UNSURE, script, 0.0)
    labels, weights_CD, bias_C, prior_C = model.by_script[script]
    mean_D = np.ones(len(rows_G), np.float32) @ model.vectors_GD.take(rows_G, 0) / np.float32(len(rows_G))
    logits_C = weights_CD @ mean_D + bias_C
    logits_C /= model.softening[0] + model.softening[1] / math.sqrt(len(rows_G))
    logits_C += prior_C
    best = int(logits_C.argmax())
    confidence = float(1 / np.exp(logits_C - logits_C[best]).sum())
    language = labels[best]
    if language == UNSURE:
        return Identified(UNSURE, script, 1 - confidence)
    if language.startswith("zh-"):
        script = language[3:]
    return Identified(language if confidence >= UNSURE_BELOW else UNSURE, script, confidence)


def language_meta(text: str, model: Path | None = None) -> dict[str, Any]:
    """What goes into a document's meta: `language`, `language_confidence`, `script`; `languages` where it is mixed.

    Args:
        text: The document's.
        model: A fastText model (lid.176, GlotLID, OpenLID) to use instead of the built-in one.

    Raises:
        UsageError: the model cannot be read, or `fasttext-predict` is not installed.
        BrokenLineage: the built-in model is not the one that belongs to this code.
    """
    found = identify(text) if model is None else _by_fasttext(text, model)
    meta = {"language": found.language, "language_confidence": round(found.confidence, 3), "script": found.script}
    shares = _shares(text, found, model)
    if len(shares) > 1:
        meta["languages"] = [{"language": name, "share": round(share, 2)} for name, share in shares]
    return meta


def bcp47(language: str, script: str) -> str:
    """The label of a language code written in a script, which is named where it does not go without saying."""
    if "-" in language or language == UNSURE or script == COMMON:
        return language
    return _named(language, script, _model().usual)


def _named(language: str, script: str, usual: dict[str, str]) -> str:
    plain = language not in SEVERAL and usual.get(language, script) == script
    return language if plain else f"{language}-{script}"


def _shares(text: str, whole: Identified, model: Path | None) -> list[tuple[str, float]]:
    """Languages of a document's paragraphs with their shares of the characters, largest first."""
    least, most = PARAGRAPH_CHARACTERS
    long = [p for p in text[:LOOKED_AT].split("\n") if len(p) >= least]
    step = max(1, math.ceil(len(long) / PARAGRAPHS))
    if len(long) < 2:
        return []
    characters = Counter[str]()
    for paragraph in long[::step]:
        found = identify(paragraph[:most]) if model is None else _by_fasttext(paragraph[:most], model)
        sure = found.confidence >= SURE and found.language != UNSURE
        characters[found.language if sure else whole.language] += len(paragraph)
    total = characters.total()
    shares = ((name, n / total) for name, n in characters.most_common() if name != UNSURE)
    return [(name, share) for name, share in shares if share >= LEAST_SHARE]


@cache
def _model() -> _Model:
    tensors, about = stored_weights(MODEL, MODEL_BLAKE3)
    vectors = tensors["vectors"] * np.float32(about["scale"])
    weights, bias, prior = tensors["weights"], tensors["bias"], tensors["prior"]
    assert len(vectors) == 1 << BITS, "the model was trained with other hashes"
    classes = [(name.rpartition("-")[0], name.rpartition("-")[2]) for name in orjson.loads(about["classes"])]
    usual: dict[str, str] = {}
    rows: dict[str, list[int]] = {}
    for row, (language, script) in enumerate(classes):  # languages with most text first, their usual script first
        usual.setdefault(language, script)
        rows.setdefault("Hani" if script in ("Hans", "Hant") else script, []).append(row)
    anywhere = rows.pop(COMMON)
    named = [_named(language, script, usual) for language, script in classes]
    by_script = {}
    for script, members in rows.items():
        chosen = members + anywhere
        by_script[script] = (tuple(named[row] for row in chosen), weights[chosen], bias[chosen], prior[chosen])
    return _Model(vectors, by_script, usual, tuple(orjson.loads(about["softening"])))


@cache
def _fasttext(path: Path) -> Any:
    try:
        fasttext = import_module("fasttext")
    except ModuleNotFoundError:
        raise UsageError(
            f"{path} is a fastText model and fasttext-predict is not installed; expected it for `model`; "
            "pip install 'libertas[language]'"
        ) from None
    if not path.is_file():
        raise UsageError(f"{path} is no file; expected a fastText model such as lid.176.ftz; name one, or leave it out")
    try:
        return fasttext.load_model(str(path))
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"{path} cannot be read as a fastText model ({error}); expected a .bin or .ftz file") from None


def _by_fasttext(text: str, path: Path) -> Identified:
    """The label that a fastText model gives the first 2,000 characters, in BCP-47."""
    beginning = text[:CHARACTERS]
    script = script_of_counts(seen(beginning)[2])
    labels, probabilities = _fasttext(path).predict(" ".join(beginning.split()), k=1)
    if not labels:
        return Identified(UNSURE, script, 0.0)
    confidence = min(float(probabilities[0]), 1.0)
    code, _, named = labels[0].removeprefix("__label__").partition("_")
    code = TWO_LETTERS.get(code, code) if named else ALIEN_ALIASES.get(code, code)
    script = named if named in ("Hans", "Hant") else script
    return Identified(bcp47(code, script) if confidence >= UNSURE_BELOW else UNSURE, script, confidence)
