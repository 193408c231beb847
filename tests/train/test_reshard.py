"""A state that was saved under any layout continues under any other, with the same losses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from making import small_corpus
from parallel_trainings import losses, parallel, training

from libertas.model.transformer import Model
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train.checkpoint import load_checkpoint

LAYOUTS: dict[str, tuple[int, dict[str, int]]] = {
    "alone": (1, {}),
    "copies 2": (2, {"replicas": 2}),
    "sharded 2": (2, {}),
    "split 2": (2, {"tensor": 2}),
    "sharded 4": (4, {}),
    "split 2, sharded 2": (4, {"tensor": 2}),
}
"""Processes and settings by name."""
STOP, STEPS = 4, 8


def launch(ranks: int, jobs: list[dict[str, Any]]) -> None:
    if ranks == 1:
        for job in jobs:
            training(job)
    elif jobs:
        done = parallel(ranks, jobs)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_what_any_layout_saved_continues_in_any_other_with_the_same_losses(tmp_path: Path, optimizer: str) -> None:
    tokenize(TokenizeConfig(corpus=small_corpus(tmp_path / "mix", 400), out=tmp_path / "tokens", vocabulary=300))
    settings = {"tokens": str(tmp_path / "tokens"), "model": "llama", "steps": STEPS, "optimizer": optimizer}

    def job(name: str, layout: str, **more: Any) -> dict[str, Any]:
        return {**settings, **LAYOUTS[layout][1], "out": str(tmp_path / name), **more}

    training(job("whole", "alone"))
    for ranks in (1, 2, 4):
        saving = [name for name, (count, _) in LAYOUTS.items() if count == ranks]
        launch(ranks, [job(f"{name} saved", name, stop=STOP - 1) for name in saving])
    for ranks in (1, 2, 4):
        loading = [name for name, (count, _) in LAYOUTS.items() if count == ranks]
        pairs = [(saved, loaded) for saved in LAYOUTS for loaded in loading]
        launch(ranks, [job(f"{s} to {n}", n, continues=str(tmp_path / f"{s} saved")) for s, n in pairs])

    expected = losses(tmp_path / "whole")
    weights = load_checkpoint(tmp_path / "whole").model.state_dict()
    for saved in LAYOUTS:
        assert losses(tmp_path / f"{saved} saved") == pytest.approx(expected[:STOP], abs=1e-9), saved
        for loaded in LAYOUTS:
            run = tmp_path / f"{saved} to {loaded}"
            assert losses(run) == pytest.approx(expected, abs=1e-9), run.name
            for name, value in load_checkpoint(run).model.state_dict().items():
                torch.testing.assert_close(value, weights[name], atol=1e-7, rtol=0, msg=f"{run.name}: {name}")


@pytest.mark.slow
def test_weights_on_the_disk_are_whole_and_in_their_own_order_whatever_wrote_them(tmp_path: Path) -> None:
    """One process checks what two have written: a fresh model's weights are known."""
    tokenize(TokenizeConfig(corpus=small_corpus(tmp_path / "mix", 400), out=tmp_path / "tokens", vocabulary=300))
    job = {"tokens": str(tmp_path / "tokens"), "out": str(tmp_path / "run"), "model": "llama", "steps": 1, "tensor": 2}
    launch(2, [{**job, "double": False}])
    first = load_checkpoint(tmp_path / "run" / "checkpoints" / "step-00000000").model
    fresh = Model(first.config, seed=0).state_dict()
    for name, value in first.state_dict().items():
        assert torch.equal(value, fresh[name]), name
