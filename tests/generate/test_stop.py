"""Stop strings: found however tokens cut them, and the text ends before them."""

from hypothesis import given
from hypothesis import strategies as st

from libertas.generate.sample import Sampling, sample
from libertas.generate.stop import cut_at_stop, stops_at
from libertas.model.config import ModelConfig
from libertas.model.transformer import Model

LETTERS = st.text(alphabet="aé\n🦊", max_size=12)


@given(LETTERS, st.lists(st.text(alphabet="aé\n🦊", min_size=1, max_size=3), max_size=3), st.data())
def test_writing_stops_with_the_first_token_that_ends_a_stop_string_however_the_text_is_cut(
    text: str, stops: list[str], data: st.DataObject
) -> None:
    written = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=6)))  # within characters, and empty tokens
    pieces = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    stop = stops_at(stops, lambda token: pieces[token])
    told = [stop(list(range(n))) for n in range(1, len(pieces) + 1)]
    there = [any(s.encode() in b"".join(pieces[:n]) for s in stops) for n in range(1, len(pieces) + 1)]
    assert (told.index(True) if True in told else None) == (there.index(True) if True in there else None)


@given(LETTERS, st.lists(st.text(alphabet="aé\n🦊", min_size=1, max_size=3), max_size=3))
def test_the_text_is_what_stands_before_every_stop_string(text: str, stops: list[str]) -> None:
    before, which = cut_at_stop(text.encode(), stops)
    if which is None:
        assert before == text
        assert not any(stop in text for stop in stops)
    else:
        assert text.startswith(before + which)
        assert len(before) == min(text.index(stop) for stop in stops if stop in text)


def test_half_a_character_is_kept_as_one_mark_for_each_byte() -> None:
    assert cut_at_stop("a🦊".encode()[:-1] + b"\n", ["\n"]) == ("a\ufffd\ufffd\ufffd", "\n")


def test_sampling_ends_when_the_string_is_whole() -> None:
    model = Model(ModelConfig(vocabulary=50, width=32, layers=2, heads=2, context=64), seed=1).eval()
    free = sample(model, [[2]], 12, Sampling(seed=3))[0]
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    text = "".join(letters[token] for token in free.tokens)
    (stopped,) = sample(model, [[2]], 12, Sampling(seed=3), stop=stops_at([text[4:7]], lambda t: letters[t].encode()))
    assert stopped.ended
    assert stopped.tokens == free.tokens[: text.index(text[4:7]) + 3]
