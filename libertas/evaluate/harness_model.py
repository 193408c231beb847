"""Our model as a backend of lm-eval 0.4: its tasks, our scorer. Imported only where lm-eval is installed."""

from typing import Any

from lm_eval import utils
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text

from libertas.errors import UsageError
from libertas.evaluate.asking import BEGIN_FIRST
from libertas.evaluate.chat import read_prompting
from libertas.evaluate.score import Request, fit, score
from libertas.generate.sample import Sampling, sample
from libertas.train.checkpoint import Checkpoint

ROWS = 16
"""Texts that are continued together."""
MOST_TOKENS = 256
"""Tokens that are generated where a task says nothing, as with lm-eval's own backend."""


class HarnessModel(TemplateLM):  # type: ignore[misc]  # lm-eval has no types
    """Answers what lm-eval asks; every distinct beginning of all requests is read once."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Wrap a checkpoint's model and tokenizer."""
        super().__init__()
        self.checkpoint, self.model = checkpoint, checkpoint.model
        self.prompting = read_prompting(checkpoint.path, checkpoint.tokenizer)
        self.end = self.prompting.end

    @property
    def prefix_token_id(self) -> int:
        """The token that stands before what has no context."""
        return self.prompting.begin

    @property
    def eot_token_id(self) -> int:
        """The token that ends texts."""
        return self.end

    @property
    def max_length(self) -> int:
        """Tokens the model reads at most."""
        return self.model.config.context

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **more: Any) -> list[int]:
        """Token ids; the token that begins texts comes first if the model's own settings put it there."""
        ids: list[int] = self.checkpoint.tokenizer.encode(string, add_special_tokens=False).ids
        begin = [self.prompting.begin]
        wanted = self.prompting.usual == BEGIN_FIRST and add_special_tokens is not False and ids[:1] != begin
        return [*begin, *ids] if wanted else ids

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], **more: Any
    ) -> list[tuple[float, bool]]:
        asked: list[Request] = []
        for words, context, continuation in requests:
            if not continuation:
                raise UsageError(
                    f"{words[1]!r} has no token of its own after {words[0][-40:]!r}: a token spans the join, and "
                    "lm-eval counts it to the prompt; end prompts elsewhere, or use `libertas evaluate`"
                )
            asked.append(fit([*context, *continuation], len(continuation), self.max_length)[0])
        found = [(one.total, one.likeliest) for one in score(self.model, asked, "lm-eval")]
        for (words, _, _), answer in zip(requests, found, strict=True):
            if words is not None:
                self.cache_hook.add_partial("loglikelihood", words, answer)
        return found

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-probability of whole texts, over lm-eval's windows: disjoint, with one token of context each."""
        windows: list[tuple[Any, list[int], list[int]]] = []
        counts = []
        for (text,) in [request.args for request in requests]:
            pieces = utils.get_rolling_token_windows(
                token_list=self.tok_encode(text),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            own = [(None, *utils.make_disjoint_window(piece)) for piece in pieces]
            windows += own
            counts.append(len(own))
        found = iter(self._loglikelihood_tokens(windows))
        return [sum(next(found)[0] for _ in range(count)) for count in counts]

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """Continue each context until one of its stop sequences comes."""
        results: dict[int, str] = {}
        groups: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(repr(request.args[1]), []).append(number)
        for numbers in groups.values():
            ordered = sorted(numbers, key=lambda n: len(requests[n].args[0]))
            for start in range(0, len(ordered), ROWS):
                batch = ordered[start : start + ROWS]
                contexts = [requests[number].args[0] for number in batch]
                results.update(zip(batch, self._continued(contexts, requests[batch[0]].args[1]), strict=True))
        return [results[number] for number in range(len(requests))]

    def _continued(self, contexts: list[str], settings: dict[str, Any]) -> list[str]:
        kwargs = normalize_gen_kwargs(settings, MOST_TOKENS)
        tokenizer = self.checkpoint.tokenizer
        until = handle_stop_sequences(kwargs.pop("until", None), eos=tokenizer.decode([self.end], False))
        most = min(kwargs["max_gen_toks"], self.max_length - 1)
        prompts = [self.tok_encode(context)[-(self.max_length - most) :] for context in contexts]
        how = Sampling(temperature=float(kwargs.get("temperature", 0.0)), top_p=float(kwargs.get("top_p", 1.0)))

        def stop(tokens: list[int]) -> bool:
            text = tokenizer.decode(tokens)
            return any(word and word in text for word in until)

        found = sample(self.model, prompts, most, how, end=self.end, stop=stop)
        return [postprocess_generated_text(tokenizer.decode(one.tokens), until, None) for one in found]
