"""Rules about what is known of a document beside its text: language, origin, license, signals, scores of models."""

from pathlib import Path

from libertas.curate.rules.analysis import Analysis
from libertas.curate.rules.licensing import is_allowed, license_key
from libertas.curate.rules.lists import host_of, on_list, read_domains, read_urls, url_key

UNKNOWN = "und"
"""BCP-47 of a language that could not be told; a document that names none is in it here."""


def wanted_language(analysis: Analysis) -> float | None:
    """1 if `meta.language` is a wanted one, else 0; `zh` takes `zh-Hans` too. Not asked of program text."""
    if analysis.is_code:
        return None
    language = str(analysis.meta.get("language") or UNKNOWN)
    return float(any(language == w or language.startswith(f"{w}-") for w in analysis.wanted.languages))


def language_confidence(analysis: Analysis) -> float | None:
    """How sure `libertas gather` was of the language, from 0 to 1."""
    return _number(analysis, "language_confidence")


def mathematical(analysis: Analysis) -> float | None:
    """`meta.math_score`, from 0 to 1; only documents gathered with `--only math` have one."""
    return _number(analysis, "math_score")


def opted_out(analysis: Analysis) -> float:
    """How many signals against the use of the text `libertas gather` found on the page and its server."""
    signals = analysis.meta.get("opt_out", ())
    return len(signals) if isinstance(signals, list | tuple) else float(bool(signals))


def allowed_license(analysis: Analysis) -> float:
    """1 if `meta.license`, or each of several, is on the list `licenses`, else 0; a document that names none is not."""
    named = analysis.meta.get("license") or ""
    allowed = frozenset(map(license_key, analysis.wanted.licenses))
    return float(all(is_allowed(str(name), allowed) for name in (named if isinstance(named, list) else [named])))


def allowed_domain(analysis: Analysis) -> float:
    """1 if the host of `meta.url` is on the list `allow_domains`, else 0."""
    return float(_on_list(analysis, analysis.wanted.allow_domains))


def blocked_domain(analysis: Analysis) -> float:
    """1 if the host of `meta.url` is on the list `block_domains`, else 0."""
    return float(_on_list(analysis, analysis.wanted.block_domains))


def blocked_url(analysis: Analysis) -> float:
    """1 if `meta.url` is on the list `block_urls`, else 0."""
    path, url = analysis.wanted.block_urls, analysis.meta.get("url")
    return float(path is not None and bool(url) and url_key(str(url)) in read_urls(path))


def perplexity(analysis: Analysis) -> float | None:
    """Bits per byte of the text under the model `perplexity_model`."""
    return _scored(analysis.wanted.perplexity_model, analysis.text)


def quality_classifier(analysis: Analysis) -> float | None:
    """Probability of being like the texts that the model `classifier` learned as good."""
    return _scored(analysis.wanted.classifier, analysis.text)


def _scored(model: Path | None, text: str) -> float | None:
    if model is None:
        return None
    from libertas.curate.scorers import load_scorer  # with libraries that other rules need not

    return load_scorer(model)(text)


def _on_list(analysis: Analysis, path: Path | None) -> bool:
    host = host_of(str(analysis.meta.get("url") or ""))
    return path is not None and host is not None and on_list(host, read_domains(path))


def _number(analysis: Analysis, key: str) -> float | None:
    value = analysis.meta.get(key)
    return float(value) if isinstance(value, int | float) else None
