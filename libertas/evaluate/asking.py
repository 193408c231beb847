"""Settings of asking: what every prompt follows, where an answer's tokens begin, and whether a chat template is used.

Light, since the command line reads it; what a model's own files say of prompts is in `libertas.evaluate.chat`.
"""

from dataclasses import dataclass, replace

from libertas.errors import UsageError
from libertas.spelling import nearest

AUTO, END_OF_TEXT_FIRST, BEGIN_FIRST, NOTHING_FIRST = "auto", "end-of-text", "bos", "nothing"
STARTS = {
    END_OF_TEXT_FIRST: "every prompt follows one end-of-text token, as every document did in training",
    BEGIN_FIRST: "every prompt follows the token with which the tokenizer begins texts",
    NOTHING_FIRST: "nothing stands before a prompt; where there is none, an answer follows the token that begins texts",
}
"""What every prompt follows, by name."""

SHARED, LM_EVAL = "shared", "lm-eval"
BOUNDARIES = {
    SHARED: "a choice's tokens are those of prompt + choice after the longest token prefix shared with the prompt "
    "alone; where a token spans the join it is scored with the choice, and the record is marked",
    LM_EVAL: "as in lm-eval: white space at the end of a prompt moves to the choice, whose tokens are those of prompt "
    "+ choice beyond as many as the prompt alone has; where a token spans the join the record is marked, and an item "
    "whose choice is left without a token is refused",
}
"""Where a prompt's tokens end and a choice's begin, by name."""

PLAIN, TURNS, MESSAGE = "no", "turns", "message"
CHATS = {
    PLAIN: "prompts are plain text",
    TURNS: "the model's chat template, each example a turn of the user and one of the assistant, whose turn begins "
    "with the cue",
    MESSAGE: "the model's chat template, examples and question in one message of the user; the assistant's turn begins "
    "with the cue",
}
"""Whether prompts stand in the model's chat template, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How the words of a protocol are put to a model."""

    start: str = END_OF_TEXT_FIRST
    """One of `STARTS`, or `auto` until the model is known."""
    boundary: str = SHARED
    """One of `BOUNDARIES`."""
    chat: str = PLAIN
    """One of `CHATS`."""
    system: str = ""
    """Message of the system, before all others of a chat."""

    def __post_init__(self) -> None:
        """Refuse what is not known."""
        for name, known in (("start", [AUTO, *STARTS]), ("boundary", BOUNDARIES), ("chat", CHATS)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} is {getattr(self, name)!r}; {nearest(getattr(self, name), known)}")
        if self.system and self.chat == PLAIN:
            raise UsageError(f"system is {self.system!r:.60} without a chat; add --chat {TURNS}, or leave it out")

    def resolved(self, usual: str) -> "Asking":
        """The same with `auto` replaced: by `usual`, or in a chat by nothing: its template writes what comes first."""
        if self.start != AUTO:
            return self
        return replace(self, start=usual if self.chat == PLAIN else NOTHING_FIRST)

    def policies(self) -> dict[str, str]:
        """What decides prompts and their tokens, in words."""
        system = {"system": self.system} if self.system else {}
        return {
            "start": STARTS.get(self.start, self.start),
            "boundary": BOUNDARIES[self.boundary],
            "chat": CHATS[self.chat],
            **system,
        }


PLAIN_ASKING = Asking()
"""Plain text, behind an end-of-text token."""
