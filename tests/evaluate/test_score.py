import numpy as np
import pytest
import torch

from libertas.evaluate.score import Request, fit, score
from libertas.evaluate.tasks.bits_per_byte import document_log_probabilities, windows


def alone(model, tokens):
    """Log-probability of each token but the first, from one plain forward pass."""
    with torch.no_grad():
        logits = model(torch.tensor([tokens[:-1]]))[0].log_softmax(-1)
    return np.array([float(logits[i, t]) for i, t in enumerate(tokens[1:])])


def test_batches_give_what_each_sequence_gives_alone_whatever_its_neighbours(model):
    generator = np.random.default_rng(0)
    sequences = [tuple(generator.integers(0, 300, n).tolist()) for n in (2, 65, 3, 40, 41, 17, 64, 40)]
    scored = [1, 64, 2, 5, 40, 1, 3, 39]
    found = score(model, [Request(s, k) for s, k in zip(sequences, scored, strict=True)], "test")
    for sequence, k, scores in zip(sequences, scored, found, strict=True):
        assert scores.log_probabilities == pytest.approx(alone(model, sequence)[-k:], abs=1e-4)


def test_requests_that_read_the_same_tokens_share_the_pass_and_keep_their_own_answer(model, monkeypatch):
    passes = []
    hidden = model.hidden
    monkeypatch.setattr(model, "hidden", lambda *a, **k: passes.append(a[0].shape) or hidden(*a, **k))
    question = (0, 7, 8, 9)
    found = score(model, [Request((*question, letter), 1) for letter in (20, 21, 22, 23)], "test")
    assert passes == [torch.Size([1, 4])]
    monkeypatch.undo()
    assert [f.total for f in found] == pytest.approx([alone(model, (*question, x))[-1] for x in (20, 21, 22, 23)])


def test_what_does_not_fit_loses_tokens_at_the_left_and_says_so():
    assert fit(range(10), 3, context=9) == (Request(tuple(range(10)), 3), False)
    assert fit(range(10), 3, context=5) == (Request((4, 5, 6, 7, 8, 9), 3), True)
    assert fit(range(10), 8, context=5) == (Request((4, 5, 6, 7, 8, 9), 5), True)


@pytest.mark.parametrize("length", [1, 2, 5, 9, 10, 33, 64, 65, 66, 97, 98, 500])
@pytest.mark.parametrize("context", [1, 4, 7, 64])
def test_windows_predict_every_token_once_with_half_a_context_before_it(length, context):
    found = windows(length, context)
    predicted = [position for w in found for position in range(w.first, w.stop)]
    assert predicted == list(range(1, length))
    for window in found:
        assert window.stop - 1 - window.start <= context
        assert window.start == 0 or window.first - window.start >= context / 2


def test_a_short_document_scores_what_one_pass_after_end_of_text_gives(model):
    tokens = np.array([5, 250, 31, 31, 8])
    (scores,) = document_log_probabilities(model, [tokens], end_of_text=0)
    assert scores == pytest.approx(alone(model, (0, *tokens.tolist())), abs=1e-4)


def test_a_long_document_scores_each_window_by_hand(model):
    tokens = np.random.default_rng(2).integers(1, 300, 120)
    scores, empty = document_log_probabilities(model, [tokens, tokens[:0]], end_of_text=0)
    sequence = [0, *tokens.tolist()]
    first = alone(model, sequence[:65])  # context 64: reads 0..63, predicts 1..64
    second = alone(model, sequence[32:97])[-32:]
    third = alone(model, sequence[64:])[-(121 - 97) :]
    assert scores == pytest.approx(np.concatenate([first, second, third]), abs=1e-4)
    assert empty.shape == (0,)
