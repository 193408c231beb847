"""Items with an ending are scored on it, given each choice."""

import pytest

from libertas.evaluate.answer import answer
from libertas.evaluate.encode import encode_pair
from libertas.evaluate.item import choice_item
from libertas.evaluate.protocol import PROTOCOLS
from libertas.evaluate.reading import reading_named
from libertas.evaluate.score import Request, score
from libertas.evaluate.shots import reordered
from libertas.tokenize.bpe import closing_token


def test_what_follows_the_choices_is_scored_given_each_of_them(model, tokenizer):
    item = choice_item("w", ("number", "string"), 1, passage="The value is a ", ending=" that is added.")
    (found,) = answer(model, tokenizer, [item], [reading_named("text")])
    end = closing_token(tokenizer)
    for choice, total in zip(item.choices, found.log_probabilities, strict=True):
        pair = encode_pair(tokenizer, f"The value is a {choice}", " that is added.")
        (alone,) = score(model, [Request((end, *pair.tokens), pair.scored)], "")
        assert total == pytest.approx(alone.total, abs=1e-5)
    assert PROTOCOLS["text"].example(item) == "The value is a string that is added.\n\n"
    assert PROTOCOLS["letters"].prompt(item).startswith("The value is a _ that is added.\nQuestion:")
    assert reordered(item, 1).ending == item.ending
    assert len(answer(model, tokenizer, [item], [reading_named("letters"), reading_named("text/pmi")])) == 2
