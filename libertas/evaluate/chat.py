"""What a model's own files say of prompts, and prompts in its chat template.

Templates are Jinja2, as `transformers` renders them: blocks trimmed, in a sandbox. They see neither clock nor network:
those that ask for today's date get what they have for the case that there is none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from libertas.errors import UsageError
from libertas.evaluate.asking import (
    BEGIN_FIRST,
    END_OF_TEXT_FIRST,
    NOTHING_FIRST,
    PLAIN,
    TURNS,
    Asking,
)
from libertas.evaluate.encode import Pair
from libertas.evaluate.item import Item
from libertas.evaluate.protocol import Protocol
from libertas.lineage.fingerprint import digest
from libertas.tokenize.bpe import closing_token

PROMPTING, SPECIAL = "prompting.json", "special.json"
"""Files in an imported checkpoint: what its publishers say of prompts, and its special token ids."""

Message = dict[str, str]
"""`role` and `content`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """What is known of the way in which a model reads texts."""

    end: int
    """The token that ends texts."""
    begin: int
    """The token that begins texts; the one that ends them where there is no other."""
    usual: str = END_OF_TEXT_FIRST
    """What stood before every text in training, or what the tokenizer's settings put there."""
    template: str = ""
    """The chat template; empty where the model has none."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Special tokens by the names that templates have for them, such as `bos_token`."""

    def first(self, pair: Pair, asking: Asking) -> list[int]:
        """What stands before the tokens of a pair; no template's first token is doubled."""
        number = {END_OF_TEXT_FIRST: self.end, BEGIN_FIRST: self.begin}.get(asking.start)
        if number is None:
            return [] if pair.scored < len(pair.tokens) else [self.begin]
        return [] if asking.chat != PLAIN and pair.tokens[:1] == [number] else [number]

    def described(self, asking: Asking) -> dict[str, str]:
        """The policies of an asking, with the hash of the template that it uses."""
        used = {"template": digest(self.template.encode())} if asking.chat != PLAIN else {}
        return {**asking.resolved(self.usual).policies(), **used}


def prompting_of(tokenizer: Tokenizer) -> Prompting:
    """Of a model that was trained here: every document followed one end-of-text token."""
    end = closing_token(tokenizer)
    return Prompting(end=end, begin=end)


def read_prompting(checkpoint: Path, tokenizer: Tokenizer) -> Prompting:
    """What a checkpoint's files say; one that was not imported was trained here.

    An imported tokenizer begins texts with a token if its settings say so, or else if its own rules add one.
    """
    if not (checkpoint / SPECIAL).exists():
        return prompting_of(tokenizer)
    said = orjson.loads((checkpoint / PROMPTING).read_bytes()) if (checkpoint / PROMPTING).exists() else {}
    tokens = {name: token for name, token in said.items() if name.endswith("_token") and isinstance(token, str)}
    listed = orjson.loads((checkpoint / SPECIAL).read_bytes())
    with_special, without = (tokenizer.encode("a", add_special_tokens=how).ids for how in (True, False))
    added = with_special[0] if with_special[:1] != without[:1] else None

    def known(name: str, added: int | None, otherwise: int) -> int:
        """The first that there is: by the settings, by the tokenizer's rules, by the model's own list."""
        named = tokenizer.token_to_id(tokens[name]) if name in tokens else None
        found = [one for one in (named, added, listed.get(f"{name}_id")) if isinstance(one, int) and one >= 0]
        return found[0] if found else otherwise

    end = known("eos_token", None, closing_token(tokenizer))
    return Prompting(
        end=end,
        begin=known("bos_token", added, end),
        usual=BEGIN_FIRST if said.get("add_bos_token", added is not None) else NOTHING_FIRST,
        template=said.get("chat_template", ""),
        tokens=tokens,
    )


def framed(
    prompt: str,
    cue: str,
    protocol: Protocol,
    item: Item,
    examples: Sequence[Item],
    asking: Asking,
    prompting: Prompting,
) -> str:
    """All that a model reads before the answer: heading, examples and prompt.

    Args:
        prompt: of the item, or what stands in its place.
        cue: with which the prompt ends; in a chat it begins the assistant's turn.
        protocol: how examples are worded.
        item: whose heading is taken.
        examples: solved items.
        asking: with `start` resolved.
        prompting: of the model.
    """
    if asking.chat == PLAIN:
        return protocol.heading(item) + "".join(protocol.example(one) for one in examples) + prompt
    system = "\n\n".join(part for part in (asking.system, protocol.heading(item).strip()) if part)
    messages = [{"role": "system", "content": system}] if system else []
    question = prompt.removesuffix(cue)
    if asking.chat == TURNS:
        messages += [message for one in examples for message in _turns(protocol, one)]
    else:
        question = "".join(protocol.example(one) for one in examples) + question
    return rendered([*messages, {"role": "user", "content": question.removesuffix("\n")}], prompting) + cue.lstrip()


def framed_cue(cue: str, asking: Asking, prompting: Prompting) -> str:
    """What stands before an answer of which nothing is known: the cue; in a chat, behind a user who says nothing."""
    if asking.chat == PLAIN:
        return cue
    return rendered([{"role": "user", "content": ""}], prompting) + cue.lstrip()


def _turns(protocol: Protocol, item: Item) -> list[Message]:
    """An example as a message of the user, and the assistant's answer behind the cue."""
    cue = protocol.cue_of(item)
    prompt, answer = protocol.solved(item)
    return [
        {"role": "user", "content": prompt.removesuffix(cue).removesuffix("\n")},
        {"role": "assistant", "content": cue.lstrip() + answer if cue else answer.lstrip()},
    ]


def rendered(messages: Sequence[Message], prompting: Prompting) -> str:
    """Messages in the model's template, up to where the assistant begins to speak.

    Raises:
        UsageError: the model has no template, or it cannot be rendered with these messages.
    """
    if not prompting.template:
        raise UsageError("the model has no chat template; leave --chat out, or import a folder that has one")
    try:
        return _compiled(prompting.template).render(
            messages=messages, add_generation_prompt=True, tools=None, documents=None, **prompting.tokens
        )
    except (TemplateError, TypeError, ValueError, AttributeError, LookupError, RecursionError) as error:
        roles = ", ".join(dict.fromkeys(message["role"] for message in messages))
        raise UsageError(
            f"the model's chat template refuses messages of {roles}: {error}; ask without --chat"
        ) from error


class _Generation(Extension):
    """`{% generation %}` marks what a model wrote, for training; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012  # jinja2 declares it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Its body alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refuse(reason: str) -> None:
    raise TemplateError(reason)


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


@lru_cache(maxsize=4)
def _compiled(template: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _json
    environment.globals["raise_exception"] = _refuse
    return environment.from_string(template)
