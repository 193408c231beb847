"""Several processes do what one does: the same losses, whatever they share among themselves."""

from pathlib import Path
from typing import Any

import pytest
import torch
from making import small_corpus
from parallel_trainings import losses, parallel, training

from libertas.errors import UsageError
from libertas.lineage.manifest import read_manifest
from libertas.model.sizes import named_size
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train.checkpoint import load_checkpoint
from libertas.train.config import TrainConfig
from libertas.train.journal import read_metrics
from libertas.train.parallel import Layout, joined_processes, require_fitting
from libertas.train.shards import split_order

CLOSE = 1e-9
"""Largest difference of losses of about 5 in float64, where only the order of additions differs."""


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parallel")
    tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix", 400), out=folder / "tokens", vocabulary=300))
    return folder / "tokens"


def job(tokens: Path, name: str, **settings: Any) -> dict[str, Any]:
    return {"tokens": str(tokens), "out": str(tokens.parent / name), **settings}


def run_alone(tokens: Path, name: str, **settings: Any) -> Path:
    training(job(tokens, name, **settings))
    return tokens.parent / name


def run_together(tokens: Path, ranks: int, jobs: dict[str, dict[str, Any]]) -> dict[str, Path]:
    done = parallel(ranks, [job(tokens, name, **settings) for name, settings in jobs.items()])
    assert done.returncode == 0, done.stderr
    return {name: tokens.parent / name for name in jobs}


def assert_equal_trainings(ours: Path, theirs: Path) -> None:
    for column, close in (("loss", CLOSE), ("gradient_norm", CLOSE), ("validation_bits_per_byte", 1e-6)):
        pair = [[row[column] for row in read_metrics(p / "metrics.jsonl") if column in row] for p in (ours, theirs)]
        assert pair[0]
        assert pair[0] == pytest.approx(pair[1], abs=close), (ours.name, column)
    weights = [load_checkpoint(path).model.state_dict() for path in (ours, theirs)]
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], atol=1e-7, rtol=0, msg=f"{ours.name}: {name}")


def test_two_processes_train_as_one_does_and_continue_what_the_other_layout_began(tokens: Path) -> None:
    alone = run_alone(tokens, "alone", model="llama", steps=6, validate_every=3)
    small = {"model": "llama", "steps": 6, "validate_every": 3}
    done = run_together(
        tokens,
        2,
        {
            "sharded": {**small, "stop": 3, "stopping": 1},
            "split": {**small, "tensor": 2, "continues": str(tokens.parent / "sharded")},
        },
    )
    assert len(losses(done["sharded"])) == 4  # process 1 was told to stop after step 3; all left after the next one
    assert_equal_trainings(done["split"], alone)
    assert [read_manifest(run).counts["processes"] for run in (alone, done["split"])] == [1, 2]


LAYOUTS: dict[int, dict[str, dict[str, int]]] = {
    2: {"copies 2": {"replicas": 2}, "sharded 2": {}, "split 2": {"tensor": 2}},
    4: {"sharded 4": {}, "split 2, sharded 2": {"tensor": 2}, "copies 2, sharded 2": {"replicas": 2}},
}
"""Settings by name, by number of processes."""
OPTIMIZERS: dict[str, dict[str, Any]] = {"muon": {}, "adamw": {"optimizer": "adamw", "learning_rate": 1e-3}}


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("model", ["neo", "llama", "bloom"])
def test_every_layout_trains_as_one_process_does(tokens: Path, model: str, ranks: int) -> None:
    jobs = {
        f"{model} {layout} {optimizer}": {"model": model, **settings, **OPTIMIZERS[optimizer]}
        for layout, settings in LAYOUTS[ranks].items()
        for optimizer in OPTIMIZERS
    }
    done = run_together(tokens, ranks, jobs)
    for optimizer, settings in OPTIMIZERS.items():
        alone = run_alone(tokens, f"{model} {ranks} alone {optimizer}", model=model, **settings)
        for layout in LAYOUTS[ranks]:
            assert_equal_trainings(done[f"{model} {layout} {optimizer}"], alone)


@pytest.mark.slow
def test_document_masks_experts_and_recomputation_are_shared_out_as_well(tokens: Path) -> None:
    masked = {"model": "llama", "document_masks": True, "recompute": True}
    experts = {"model": "experts", "micro_batch": 1}
    jobs = {"masked split": {**masked, "tensor": 2}, "masked sharded": masked, "experts sharded": experts}
    done = run_together(tokens, 2, jobs)
    for name, settings in (("masked", masked), ("experts", experts)):
        alone = run_alone(tokens, f"{name} alone", **settings)
        for run in done.values():
            if run.name.startswith(name):
                assert_equal_trainings(run, alone)


@pytest.mark.slow
@pytest.mark.parametrize("layout", [{"replicas": 2}, {"tensor": 2}], ids=["copies", "split"])
def test_copies_that_are_not_equal_are_not_saved(tokens: Path, layout: dict[str, int]) -> None:
    name = f"spoilt {layout}"
    done = parallel(2, [job(tokens, name, model="neo", spoil=True, **layout)])
    assert done.returncode != 0
    assert "embedding.weight is not the same in rank 0 and rank 1, which hold copies of it; nothing" in done.stderr
    saved = [path.name for path in (tokens.parent / f"{name}.partial" / "checkpoints").iterdir()]
    assert saved == ["step-00000000"]


@pytest.mark.slow
def test_in_single_precision_losses_of_twenty_steps_agree_to_a_millionth(tokens: Path) -> None:
    for ranks, layouts in LAYOUTS.items():
        jobs = {
            f"single {layout} {optimizer}": {"model": "neo", "double": False, **settings, **OPTIMIZERS[optimizer]}
            for layout, settings in layouts.items()
            for optimizer in OPTIMIZERS
        }
        done = run_together(tokens, ranks, jobs)
        for optimizer, settings in OPTIMIZERS.items():
            name = f"single {ranks} alone {optimizer}"
            alone = losses(run_alone(tokens, name, model="neo", double=False, **settings))
            for layout in layouts:
                assert losses(done[f"single {layout} {optimizer}"]) == pytest.approx(alone, abs=1e-6), layout


def test_a_matrix_of_queries_keys_and_values_is_cut_so_that_each_part_has_whole_heads() -> None:
    order = split_order((4, 2, 2), 2)
    assert order.tolist() == [0, 1, 4, 6, 2, 3, 5, 7]
    parts = order.view(2, -1)
    for part, heads in enumerate(parts):
        assert heads.tolist() == [2 * part, 2 * part + 1, 4 + part, 6 + part]


def test_processes_that_share_matrices_read_the_same_rows_and_compute_their_own_positions() -> None:
    layouts = [Layout(rank=rank, ranks=8, tensor=2) for rank in range(8)]
    assert [layout.data_rank for layout in layouts] == [0, 0, 1, 1, 2, 2, 3, 3]
    x = torch.arange(24).view(2, 12)
    assert torch.equal(torch.cat([layout.own_times(x) for layout in layouts[4:6]], dim=1), x)


def test_one_process_is_asked_for_nothing_and_gives_back_what_it_has(tmp_path: Path) -> None:
    with joined_processes(TrainConfig(tokens=tmp_path, out=tmp_path, device="cpu")) as alone:
        pass
    assert (alone.ranks, alone.data_ranks, alone.first, alone.mesh) == (1, 1, True, None)
    x = torch.rand(3)
    assert alone.gathered("x", x) is x
    assert alone.placed("x", x, x) is x
    assert alone.totals([1.5, 2.0]) == [1.5, 2.0]
    assert alone.any(True)
    assert not alone.any(False)


@pytest.mark.parametrize(
    ("model", "ranks", "settings", "message"),
    [
        ("tiny", 4, {"batch": 4, "micro_batch": 2}, "batch is 4, which 4 processes .* expected a multiple of 8"),
        ("tiny", 2, {"batch": 4, "micro_batch": 2, "optimizer": "adafactor"}, "optimizer is 'adafactor', .* muon or"),
        ("tiny", 4, {"tensor": 4}, "tensor is 4, which does not divide the model's heads, 2"),
        ("tiny-modern", 2, {"tensor": 2}, "tensor is 2, which does not divide the model's key_heads, 1"),
    ],
)
def test_trainings_that_cannot_be_shared_out_are_refused(
    tmp_path: Path, model: str, ranks: int, settings: dict[str, Any], message: str
) -> None:
    config = TrainConfig(tokens=tmp_path, out=tmp_path, model=model, **settings)
    layout = Layout(ranks=ranks, tensor=config.tensor, replicas=config.replicas)
    with pytest.raises(UsageError, match=message):
        require_fitting(config, named_size(model), layout)


@pytest.mark.parametrize("setting", ["tensor", "replicas"])
def test_one_process_cannot_stand_for_two(tmp_path: Path, setting: str) -> None:
    config = TrainConfig(tokens=tmp_path, out=tmp_path, **{setting: 2})
    with pytest.raises(UsageError, match=f"{setting} is 2.* for 1 process; expected a product that divides"):
        joined_processes(config).__enter__()
