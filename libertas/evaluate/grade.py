r"""Grading what a model wrote: exact words, numbers, `\boxed` answers, letters, code; and pass@k.

A grader says whether an answer is right, never how right. Each task's own right answers pass its own grader.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from libertas.errors import UsageError
from libertas.evaluate.item import Item
from libertas.evaluate.protocol import LETTERS
from libertas.evaluate.sandbox import run_program

NUMBER = re.compile(r"(?:(?<![\w)\]}])[-−])?\$?(\d[\d,]{0,40}(?:\.\d{1,40})?(?:/\d{1,20})?|\.\d{1,40})")
"""A number as people write it: sign, thousands with commas, a decimal or a simple fraction."""
LETTER = re.compile(r"\(?([A-Z])(?:[).:,\n]|$)")
SAID = re.compile(r"answer(?: is)?:? {0,3}\(?([A-Z])(?![A-Za-z])", re.IGNORECASE | re.ASCII)
BOXED = re.compile(r"\\f?box(?:ed)? ?(?=\{)")
READ_CHARACTERS = 100_000
"""Of what a model wrote, so much is looked at."""

STOPS: dict[str, tuple[str, ...]] = {
    "choice": ("\n\n",),
    "first number": ("\n", "Q:"),
    "number": ("\n\nQuestion:", "\nQuestion:", "\n\nQ:"),
    "boxed": ("\n\nQuestion:", "\n\nProblem:"),
    "math-verify": ("\n\nQuestion:", "\n\nProblem:"),
    "code": ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint"),
}
"""Where writing may stop, by grader: the next example, or code behind the function (Chen et al. 2021, section 2.1)."""


def grade(item: Item, written: str) -> bool:
    """Whether what a model wrote is right; it is read `before_stop`."""
    return GRADERS[item.grader](item, before_stop(item.grader, written[:READ_CHARACTERS]))


def before_stop(grader: str, written: str) -> str:
    """What was written up to the first of the grader's `STOPS` behind its first word; all of it where none comes."""
    begin = len(written) - len(written.lstrip())
    found = [at for end in STOPS.get(grader, ()) if (at := written.find(end, begin)) >= 0]
    return written[: min(found, default=len(written))]


def check_graders(items: Iterable[Item]) -> None:
    """See that the graders of these items can be called.

    Raises:
        UsageError: one needs a package that is not installed.
    """
    if any(item.grader == "math-verify" for item in items) and find_spec("math_verify") is None:
        raise UsageError(
            "grader math-verify needs a package that is not installed; run `pip install 'math-verify[antlr4_13_2]'`, "
            "or take task `math`, which compares the words"
        )


def gold_of(item: Item) -> Hashable:
    """The right answer as its grader compares it, so that equal ones can be counted; for choices, its place."""
    if item.choices:
        return item.gold
    if item.grader in ("number", "first number"):
        return number_in(item.answer)
    boxed = last_boxed(item.answer) if item.grader in ("boxed", "math-verify") else None
    return " ".join(item.answer.split()) if boxed is None else _latex(boxed)


def chosen_in(item: Item, written: str) -> int | None:
    """Number of the choice that an answer names: by its whole text, its letter, or its text at the beginning."""
    exact = [choice.split() for choice in item.choices]
    if written.split() in exact:
        return exact.index(written.split())
    said, texts = _plain(written), [_plain(choice) for choice in item.choices]
    if said in texts:
        return texts.index(said)
    for match in (LETTER.match(written.strip()), SAID.search(written)):
        if match and LETTERS.index(match[1].upper()) < len(texts):
            return LETTERS.index(match[1].upper())
    begun = [number for number, text in enumerate(texts) if _begins(said, text)]
    return max(begun, key=lambda number: len(texts[number])) if begun else None


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".").casefold()


def _begins(text: str, start: str) -> bool:
    """Whether a text begins with these whole words."""
    return text.startswith(start) and not (text[len(start) : len(start) + 1].isalnum() and start[-1:].isalnum())


def number_in(text: str, first: bool = False) -> Fraction | None:
    r"""The number that a solution arrives at: behind `####` (GSM8K), in its last `\boxed`, else the last of all."""
    marked = text.partition("####")[2].strip().partition("\n")[0] or last_boxed(text)
    found = list(NUMBER.finditer(marked or text))
    if not found:
        return None
    match = found[0 if marked or first else -1]
    top, _, bottom = match[1].replace(",", "").partition("/")
    value = Fraction(top) / Fraction(bottom or 1) if Fraction(bottom or 1) else None
    return -value if value is not None and match[0][0] in "-−" else value


def last_boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{...}` of a solution; None where there is none, or it is not closed."""
    matches = list(BOXED.finditer(text))
    if not matches:
        return None
    start, depth = matches[-1].end() + 1, 0
    for at in range(start - 1, len(text)):
        if text[at] in "{}" and text[at - 1] != "\\":
            depth += 1 if text[at] == "{" else -1
            if not depth:
                return text[start:at]
    return None


LATEX = (
    (re.compile(r"(?<=[\d}])\\(?:text|mathrm|mbox)\{[^{}]{0,200}\}(?:\^\{?\d\}?)?$"), ""),
    (re.compile(r"\\(?:text|textbf|textit|mathrm|mbox)\{([^{}]{0,200})\}"), r"\1"),
    (re.compile(r"\\(?:left|right|displaystyle)(?![a-z])|\\[!,;: $]|[~$]|\{,\}|\s"), ""),
    (re.compile(r"\^\{?\\circ\}?|\\degree|\\?%"), ""),
    (re.compile(r"\\[dtc]frac"), r"\\frac"),
    (re.compile(r"\\frac(\d)(\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\frac\{(-?\d{1,40})\}\{(\d{1,40})\}"), r"\1/\2"),
    (re.compile(r"\\sqrt(\w)"), r"\\sqrt{\1}"),
)
"""Ways to write the same in LaTeX, made one: units, spacing, degrees and percent, kinds of fractions. It is the purpose
of the list that was published with MATH (Hendrycks et al. 2021), not its wording; what it misses counts as wrong."""


def _same_latex(one: str, two: str) -> bool:
    first, second = _latex(one), _latex(two)
    if first == second:
        return True
    values = [number_in(text) if NUMBER.fullmatch(text) else None for text in (first, second)]
    return values[0] is not None and values[0] == values[1]


def _latex(text: str) -> str:
    for pattern, replacement in LATEX:
        text = pattern.sub(replacement, text.strip())
    name, _, value = text.partition("=")
    return (value if value and len(name) <= 2 else text).rstrip(".")


def _boxed(item: Item, written: str) -> bool:
    gold, said = last_boxed(item.answer), last_boxed(written)
    return gold is not None and said is not None and _same_latex(gold, said)


def _math_verify(item: Item, written: str) -> bool:
    check_graders([item])
    verifier: Any = import_module("math_verify")
    return bool(verifier.verify(verifier.parse(item.answer), verifier.parse(written)))


def _choice(item: Item, written: str) -> bool:
    number = chosen_in(item, written)
    return number is not None and item.choices[number].split() == item.answer.split()  # two may be equal


def _number(item: Item, written: str) -> bool:
    said = number_in(written)
    return said is not None and said == number_in(item.answer)


def _first_number(item: Item, written: str) -> bool:
    said = number_in(written, first=True)
    return said is not None and said == number_in(item.answer)


def _code(item: Item, written: str) -> bool:
    test, entry = item.meta["test"], item.meta["entry_point"]
    return run_program(f"{item.passage}{written}\n\n{test}\n\ncheck({entry})\n").passed


GRADERS: Mapping[str, Callable[[Item, str], bool]] = {
    "choice": _choice,
    "exact": lambda item, written: written.split() == item.answer.split(),
    "continuation": lambda item, written: _begins(" ".join(written.split()), " ".join(item.answer.split())),
    "number": _number,
    "first number": _first_number,
    "boxed": _boxed,
    "math-verify": _math_verify,
    "code": _code,
}
"""By name, as an item has it: item and what was written -> whether it is right.

`exact`: the same words. `continuation`: the answer comes first. `number`: the same number at the end, `first number`:
at the beginning (Biderman et al. 2023 ask for sums so). `boxed`: the same LaTeX, apart from ways of writing. `code`:
the item's tests pass.
"""


def pass_at_k(samples: int, right: int, k: int) -> float:
    """Unbiased chance that one of `k` samples or more is right, from `right` of more samples (Chen et al. 2021, eq. 1).

    1 - C(n - c, k) / C(n, k), as a product in which no number is large.

    Raises:
        UsageError: there are fewer samples than `k`, or than right ones.
    """
    if not 0 <= right <= samples or not 1 <= k <= samples:
        raise UsageError(f"pass@{k} of {right} right among {samples} samples; expected 1 <= k <= samples")
    none_right = 1.0
    for count in range(samples - right + 1, samples + 1):
        none_right *= max(0.0, 1 - k / count)
    return 1 - none_right
