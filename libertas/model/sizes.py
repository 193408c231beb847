"""Sizes that have names. A value is what was trained, with its published errata as fields; sources are beside it."""

from dataclasses import replace

from libertas.errors import UsageError
from libertas.model.config import ModelConfig
from libertas.spelling import nearest


def _gpt2(layers: int, width: int, heads: int) -> ModelConfig:
    """Radford et al. 2019; https://huggingface.co/openai-community/gpt2 and its siblings."""
    return ModelConfig(
        vocabulary=50257,
        width=width,
        layers=layers,
        heads=heads,
        context=1024,
        attention=("global",),
        attention_scale=None,
        qkv_bias=True,
        initialization="gpt2",
    )


def _neo(layers: int, width: int, heads: int) -> ModelConfig:
    """As published: the configurations in the gpt-neo repository differ (32 heads, all global, for its XL)."""
    return ModelConfig(vocabulary=50257, width=width, layers=layers, heads=heads, context=2048)


def _neox(vocabulary: int, layers: int, width: int, heads: int, initialization: str = "neox") -> ModelConfig:
    """GPT-NeoX: parallel residual with two norms, a quarter of each head turned, untied, biases everywhere.

    The vocabulary is padded to a multiple of 128 times the tensor-parallel degree of the training. All of them were
    trained with the tanh form of GELU (`bias-gelu-fusion`), though their Hugging Face configurations say `gelu`.
    """
    return ModelConfig(
        vocabulary=vocabulary,
        width=width,
        layers=layers,
        heads=heads,
        context=2048,
        attention=("global",),
        attention_scale=None,
        positions="rotary",
        rotary_share=0.25,
        residual="parallel",
        qkv_bias=True,
        tied=False,
        initialization=initialization,
    )


def _bloom(layers: int, width: int, heads: int) -> ModelConfig:
    """BigScience 2022: ALiBi, a norm behind the embedding, tied."""
    return ModelConfig(
        vocabulary=250_880,
        width=width,
        layers=layers,
        heads=heads,
        context=2048,
        attention=("global",),
        attention_scale=None,
        positions="alibi",
        embedding_norm=True,
        qkv_bias=True,
        initialization="gpt2",
    )


def _llama(layers: int, width: int, heads: int, hidden: int) -> ModelConfig:
    """Touvron et al. 2023."""
    return ModelConfig(
        vocabulary=32_000,
        width=width,
        layers=layers,
        heads=heads,
        context=2048,
        attention=("global",),
        attention_scale=None,
        positions="rotary",
        norm="rms",
        norm_epsilon=1e-6,
        hidden=hidden,
        activation="silu",
        gated=True,
        out_bias=False,
        feed_forward_bias=False,
        tied=False,
        initialization="gpt2",
    )


SWIGLU = 8 / 3
"""Hidden width of a gated feed-forward part, in model widths, that costs what four ungated ones do (Shazeer 2020)."""


def modern(layers: int, width: int, heads: int, vocabulary: int = 50_304, context: int = 2048) -> ModelConfig:
    """RMS norms, also of queries and keys, SwiGLU, a quarter as many key heads as heads, rotary, untied."""
    shape = _llama(layers, width, heads, hidden=64 * round(SWIGLU * width / 64))
    groups = heads // 4 if heads % 4 == 0 else heads
    return replace(shape, vocabulary=vocabulary, context=context, key_heads=groups, query_key_norm=True)


def of_depth(depth: int, vocabulary: int = 50_304, context: int = 2048) -> ModelConfig:
    """A sensible model from one dial, as in nanochat: 64 of width for each layer, heads of 128, or of 64 if it is odd.

    Raises:
        UsageError: the depth is below 1.
    """
    if depth < 1:
        raise UsageError(f"depth is {depth}; expected 1 or more layers, such as 12")
    width = 64 * depth
    heads = width // (64 if depth % 2 else 128)
    return replace(modern(depth, width, heads, vocabulary, context), key_heads=None)


SIZES: dict[str, ModelConfig] = {
    # For tests: everything is exercised, nothing takes time.
    "tiny": ModelConfig(vocabulary=512, width=32, layers=2, heads=2, context=64, window=16),
    "tiny-neox": replace(_neox(512, 2, 32, 2), context=64, rotary_share=0.5),
    "tiny-modern": modern(2, 64, 4, vocabulary=512, context=64),
    "tiny-experts": replace(modern(2, 64, 4, vocabulary=512, context=64), hidden=64, experts=4, experts_per_token=2),
    "tiny-linear": replace(_neo(2, 32, 2), vocabulary=512, context=64, attention=("global", "linear")),
    # The demo: enough tokens in three minutes on two cores. Four layers and six reach the same loss per token here,
    # and four read 1.4 times as many tokens a second (LOG.md, 2026-11-21).
    "neo-1m": ModelConfig(vocabulary=4096, width=128, layers=4, heads=4, context=256, window=64),
    "modern-1m": modern(4, 128, 4, vocabulary=4096, context=256),
    "neo-10m": ModelConfig(vocabulary=8192, width=256, layers=10, heads=8, context=512, window=128),
    "gpt2": _gpt2(12, 768, 12),
    "gpt2-medium": _gpt2(24, 1024, 16),
    "gpt2-large": _gpt2(36, 1280, 20),
    "gpt2-xl": _gpt2(48, 1600, 25),
    # https://huggingface.co/EleutherAI/gpt-neo-125m and its two larger siblings.
    "gpt-neo-125m": _neo(12, 768, 12),
    "gpt-neo-1.3b": _neo(24, 2048, 16),
    "gpt-neo-2.7b": _neo(32, 2560, 20),
    # Wang and Komatsuzaki 2021; https://huggingface.co/EleutherAI/gpt-j-6b. Its 50,400 rows of vocabulary are padding
    # for TPUs beyond 50,257.
    "gpt-j-6b": ModelConfig(
        vocabulary=50_400,
        width=4096,
        layers=28,
        heads=16,
        context=2048,
        attention=("global",),
        attention_scale=None,
        positions="rotary",
        rotary_share=0.25,
        rotary_pairs="neighbours",
        residual="parallel, one norm",
        out_bias=False,
        logits_bias=True,
        tied=False,
        initialization="gpt2",
    ),
    # Black et al. 2022, as merged into one piece; the two-way original holds 1,634,304 more numbers (its norms and row
    # biases stand there twice).
    "gpt-neox-20b": _neox(50_432, 44, 6144, 64),
    # Biderman et al. 2023, table 1.
    "pythia-14m": _neox(50_304, 6, 128, 4),
    "pythia-31m": _neox(50_304, 6, 256, 8),
    "pythia-70m": _neox(50_304, 6, 512, 8),
    "pythia-160m": _neox(50_304, 12, 768, 12),
    "pythia-410m": _neox(50_304, 24, 1024, 16),
    "pythia-1b": _neox(50_304, 16, 2048, 8),
    "pythia-1.4b": _neox(50_304, 24, 2048, 16),
    "pythia-2.8b": _neox(50_304, 32, 2560, 32),
    # Their configurations omit the initialization: they were drawn from N(0, 0.02) and, on the way back into the
    # stream, 0.02 / sqrt(2 layers), which is `gpt2` here (EleutherAI/pythia issue 135).
    "pythia-6.9b": _neox(50_432, 32, 4096, 32, "gpt2"),
    # The published 12b-deduped.yml swaps layers and heads, 40 and 36, which could not run.
    "pythia-12b": _neox(50_688, 36, 5120, 40, "gpt2"),
    # Ko et al. 2023; https://huggingface.co/EleutherAI/polyglot-ko-1.3b and its siblings turn 64 numbers of each head.
    "polyglot-ko-1.3b": replace(_neox(30_080, 24, 2048, 16), rotary_share=0.5),
    "polyglot-ko-3.8b": replace(_neox(30_080, 32, 3072, 24), rotary_share=0.5),
    "polyglot-ko-5.8b": replace(_neox(30_080, 28, 4096, 16), rotary_share=0.25),
    # Its published 12,898,631,680 parameters are those of four tensor-parallel parts with 30,208 rows of vocabulary.
    "polyglot-ko-12.8b": replace(_neox(30_208, 40, 5120, 40), rotary_share=0.5),
    # Le Scao et al. 2022.
    "bloom-560m": _bloom(24, 1024, 16),
    "bloom-1b7": _bloom(24, 2048, 16),
    "bloom-7b1": _bloom(30, 4096, 32),
    "bloom-176b": _bloom(70, 14_336, 112),
    # Ben Allal et al. 2023: GPT-2 with one head of keys and values.
    "santacoder-1.1b": replace(_gpt2(24, 2048, 16), vocabulary=49_280, context=2048, key_heads=1),
    "llama-7b": _llama(32, 4096, 32, 11_008),
    "llama-13b": _llama(40, 5120, 40, 13_824),
    "smollm2-135m": replace(
        _llama(30, 576, 9, 1536),
        vocabulary=49_152,
        context=8192,
        key_heads=3,
        norm_epsilon=1e-5,
        rotary_base=100_000.0,
        tied=True,
    ),
    "modern-125m": modern(12, 768, 12),
    "modern-350m": modern(24, 1024, 16),
    "modern-1b": modern(16, 2048, 16),
}


def named_size(name: str) -> ModelConfig:
    """A size by its name.

    Raises:
        UsageError: no size has this name; the nearest one is suggested.
    """
    if name not in SIZES:
        raise UsageError(f"model is {name!r}, which is not a known size; {nearest(name, SIZES)}")
    return SIZES[name]
