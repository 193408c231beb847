"""How a formula travels through the extractor: between two private-use characters, on one line, delimited once.

The extractor collapses spaces and escapes Markdown; a formula must pass through both unharmed. `marked` puts it between
`START` and `END`, code stands between `CODE_START` and `CODE_END`, and `unmark` takes the marks off a whole document.

In a document with formulas a dollar that is no delimiter is written `\\$`, in code alone as it was. So the dollars of
the result can be told apart: preceded by a backslash, literal; otherwise a delimiter. A formula never ends in a
backslash, a nested `$x$` (inside `\\text`) becomes `\\(x\\)`, and neighbors are kept apart by a space. `\\$` back to
`$` is the inverse.
"""

import re

START = "\ue000"
"""Before every formula."""
END = "\ue001"
"""After every formula."""
CODE_START = "\ue002"
"""Before text in which nothing is a formula and no dollar is escaped."""
CODE_END = "\ue003"
"""After it."""
MARKS = re.compile("[\ue000-\ue003]")
PROTECTED = re.compile("(\ue000[^\ue000-\ue003]*\ue001|\ue002[^\ue000-\ue003]*\ue003)")
"""A marked formula or piece of code; no mark inside, so that each character is tried once."""
DOLLAR = re.compile(r"\\.|\$", re.DOTALL)


def marked(latex: str, *, display: bool) -> str:
    """`latex` on one line between dollars and marks; empty if it says nothing."""
    latex = " ".join(MARKS.sub("", latex).split()).rstrip("\\ ")
    if "$" in latex:
        latex = _nested_dollars(latex)
    dollars = "$$" if display else "$"
    return f"{START}{dollars}{latex}{dollars}{END}" if latex else ""


def _nested_dollars(latex: str) -> str:
    places = [found.start() for found in DOLLAR.finditer(latex) if found[0] == "$"]
    pieces, last = [], 0
    for number, place in enumerate(places):
        alone = number == len(places) - 1 and number % 2 == 0
        pieces += [latex[last:place], r"\$" if alone else (r"\(", r"\)")[number % 2]]
        last = place + 1
    return "".join([*pieces, latex[last:]])


def unmark(text: str) -> str:
    """A finished document: marks gone and, if it has a formula, literal dollars outside formulas and code escaped."""
    if START not in text:
        return MARKS.sub("", text)
    finished: list[str] = []
    last = ""  # the last character written
    after_formula = False
    for place, piece in enumerate(PROTECTED.split(text)):  # every second one is protected
        if not piece:
            continue
        if place % 2 and piece[0] == START:
            if after_formula or last == "\\":
                finished.append(" ")
            piece = piece[1:-1]
            after_formula = True
        else:
            after_formula = False
            piece = piece[1:-1] if place % 2 else MARKS.sub("", piece).replace("$", r"\$")
        finished.append(piece)
        last = piece[-1:] or last
    return "".join(finished)
