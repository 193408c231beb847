"""Named sizes have the parameters that were published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.errors import UsageError
from libertas.model.config import ModelConfig
from libertas.model.cost import FLOP_FORMULAS, cache_bytes_per_token, forward_flops_per_token, parameters
from libertas.model.sheet import SheetConfig, model_sheet, sheet
from libertas.model.sizes import SIZES, named_size, of_depth
from libertas.model.transformer import Model

PUBLISHED = {
    "gpt2": 124_439_808,
    "gpt2-xl": 1_557_611_200,
    "gpt-neo-125m": 125_198_592,
    "gpt-neo-1.3b": 1_315_575_808,
    "gpt-neo-2.7b": 2_651_307_520,
    "gpt-j-6b": 6_050_882_784,
    "gpt-neox-20b": 20_554_567_680,
    "pythia-14m": 14_067_712,
    "pythia-70m": 70_426_624,
    "pythia-160m": 162_322_944,
    "pythia-410m": 405_334_016,
    "pythia-1b": 1_011_781_632,
    "pythia-1.4b": 1_414_647_808,
    "pythia-2.8b": 2_775_208_960,
    "pythia-6.9b": 6_857_302_016,
    "pythia-12b": 11_846_072_320,
    "polyglot-ko-1.3b": 1_331_810_304,
    "polyglot-ko-3.8b": 3_809_974_272,
    "polyglot-ko-5.8b": 5_885_059_072,
    "bloom-560m": 559_214_592,
    "bloom-1b7": 1_722_408_960,
    "bloom-7b1": 7_069_016_064,
    "bloom-176b": 176_247_271_424,
    "llama-7b": 6_738_415_616,
    "smollm2-135m": 134_515_008,
}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_named_size_has_the_published_number_of_parameters(name: str) -> None:
    assert sum(parameters(SIZES[name]).values()) == PUBLISHED[name]


def test_tensor_parallel_copies_explain_the_other_published_counts() -> None:
    """Norms and row biases stood in every part: (6 L + 2) D more numbers for each further one."""
    for name, parts, published in (
        ("gpt-neox-20b", 2, 20_556_201_984),
        ("polyglot-ko-12.8b", 4, 12_898_631_680),
    ):
        shape = SIZES[name]
        copied = (6 * shape.layers + 2) * shape.width
        assert sum(parameters(shape).values()) + (parts - 1) * copied == published


@given(
    st.fixed_dictionaries(
        {
            "heads": st.sampled_from([2, 4]),
            "key_heads": st.sampled_from([None, 1, 2]),
            "head_width": st.sampled_from([None, 6]),
            "positions": st.sampled_from(["learned", "axial", "rotary", "alibi", "sinusoidal", "none"]),
            "axial_columns": st.sampled_from([3, 8]),
            "sinks": st.booleans(),
            "norm": st.sampled_from(["layer", "rms"]),
            "residual": st.sampled_from(["sequential", "parallel", "parallel, one norm"]),
            "hidden": st.sampled_from([None, 24]),
            "gated": st.booleans(),
            "qkv_bias": st.booleans(),
            "out_bias": st.booleans(),
            "feed_forward_bias": st.booleans(),
            "query_key_norm": st.booleans(),
            "embedding_norm": st.booleans(),
            "tied": st.booleans(),
            "logits_bias": st.booleans(),
        }
    )
)
def test_counted_parameters_are_those_of_the_model(settings: dict) -> None:
    shape = ModelConfig(vocabulary=11, width=16, layers=2, context=8, **settings)
    assert sum(parameters(shape).values()) == Model(shape).parameter_count()
    assert ModelConfig.from_json(shape.to_json()) == shape


def test_the_cache_grows_by_the_key_heads_of_global_layers() -> None:
    assert cache_bytes_per_token(SIZES["gpt-neox-20b"]) == 44 * 2 * 6144 * 2
    assert cache_bytes_per_token(SIZES["santacoder-1.1b"]) == 24 * 2 * 128 * 2
    assert cache_bytes_per_token(SIZES["gpt-neo-1.3b"]) == 12 * 2 * 2048 * 2


def test_one_dial_makes_models_of_growing_size() -> None:
    sizes = [sum(parameters(of_depth(depth)).values()) for depth in range(1, 40)]
    assert sizes == sorted(sizes)
    assert (of_depth(12).width, of_depth(12).heads, of_depth(7).heads) == (768, 6, 7)
    with pytest.raises(UsageError, match="depth is 0"):
        of_depth(0)


def test_every_size_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    for name in SIZES:
        for table in sheet(model_sheet(SheetConfig(name=name, precision="fp32"))):
            Console().print(table)
    shown = capsys.readouterr().out
    assert "20,554,567,680" in shown
    assert "19,934,859,264" in shown


def test_what_was_published_wrongly_of_pythia_is_a_field_of_its_own() -> None:
    pythia = {name: shape for name, shape in SIZES.items() if name.startswith("pythia-")}
    assert len(pythia) == 10
    assert {n for n, s in pythia.items() if s.initialization == "gpt2"} == {"pythia-6.9b", "pythia-12b"}
    assert {n: s.vocabulary for n, s in pythia.items() if s.vocabulary != 50_304} == {
        "pythia-6.9b": 50_432,  # 128 x 2 parts
        "pythia-12b": 50_688,  # 128 x 4 parts
    }
    assert {s.activation for s in pythia.values()} == {
        "gelu_tanh"
    }  # their config.json says "gelu", by the error function
    assert (pythia["pythia-12b"].layers, pythia["pythia-12b"].heads) == (36, 40)


def test_the_sheet_shows_every_operation_with_its_formula(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    for name in ("gpt-neox-20b", "tiny-experts"):
        shape = SIZES[name]
        for table in sheet(model_sheet(SheetConfig(name=name))):
            Console(width=150).print(table)
        shown = capsys.readouterr().out
        for operation in forward_flops_per_token(shape, shape.context):
            (line,) = [line for line in shown.splitlines() if FLOP_FORMULAS[operation] in line]
            assert line.startswith(operation)
            assert line.count("FLOP") == 2


def test_a_slip_in_a_name_is_told_with_the_nearest_right_one() -> None:
    with pytest.raises(UsageError, match="did you mean 'pythia-160m'"):
        named_size("pythia-16m")
    with pytest.raises(UsageError, match="name or depth"):
        SheetConfig(name="gpt2", depth=3)
