"""Characters of mathematics as LaTeX: Greek, operators, relations, arrows, fences, alphabets, accents.

The characters and their meaning are Unicode's (UTR 25); the commands are those of LaTeX, amsmath and amssymb, which
MathJax and KaTeX read too.
"""

import unicodedata

GREEK = (
    "α alpha β beta γ gamma δ delta ϵ epsilon ε varepsilon ζ zeta η eta θ theta ϑ vartheta ι iota κ kappa ϰ varkappa "
    "λ lambda μ mu ν nu ξ xi π pi ϖ varpi ρ rho ϱ varrho σ sigma ς varsigma τ tau υ upsilon ϕ phi φ varphi χ chi ψ psi "
    "ω omega Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Υ Upsilon Φ Phi Ψ Psi Ω Omega ϝ digamma"
)
LETTERLIKE = (
    "ℏ hbar ℓ ell ℘ wp ℵ aleph ℶ beth ı imath ȷ jmath ∂ partial ∇ nabla ∞ infty ∅ emptyset ∀ forall ∃ exists ∄ nexists "
    "∠ angle ∡ measuredangle ⊤ top ⊥ bot □ square ■ blacksquare △ triangle ▽ triangledown ◊ lozenge ♢ diamondsuit "
    "♡ heartsuit ♣ clubsuit ♠ spadesuit ♭ flat ♮ natural ♯ sharp ° degree Å AA § S ¶ P † dagger ‡ ddagger ★ bigstar "
    "ð eth ∁ complement © copyright £ pounds"
)
OPERATORS = (
    "± pm ∓ mp × times ÷ div ∗ ast ⋆ star ∘ circ ∙ bullet • bullet · cdot ⋅ cdot ∩ cap ∪ cup ⊎ uplus ⊓ sqcap ⊔ sqcup "
    "∨ vee ∧ wedge ∖ setminus ≀ wr ⋄ diamond ⊕ oplus ⊖ ominus ⊗ otimes ⊘ oslash ⊙ odot ¬ neg ⊢ vdash ⊣ dashv ⊨ models "
    "⋉ ltimes ⋊ rtimes ⊞ boxplus ⊠ boxtimes ⊡ boxdot ∔ dotplus ∑ sum ∏ prod ∐ coprod ∫ int ∬ iint ∭ iiint ∮ oint "
    "⋂ bigcap ⋃ bigcup ⋁ bigvee ⋀ bigwedge ⨁ bigoplus ⨂ bigotimes ⨀ bigodot ⨄ biguplus ⨆ bigsqcup √ surd"
)
RELATIONS = (
    "≤ le ≥ ge ≠ ne ≈ approx ≡ equiv ≢ not\\equiv ∼ sim ≃ simeq ≅ cong ∝ propto ≪ ll ≫ gg ≺ prec ≻ succ ⪯ preceq "
    "⪰ succeq ≼ preccurlyeq ≽ succcurlyeq ∈ in ∉ notin ∋ ni ⊂ subset ⊃ supset ⊆ subseteq ⊇ supseteq ⊊ subsetneq "
    "⊋ supsetneq ⊄ not\\subset ⊈ nsubseteq ⊏ sqsubset ⊑ sqsubseteq ⊒ sqsupseteq ∥ parallel ∦ nparallel ∣ mid ∤ nmid "
    "≍ asymp ≐ doteq ≜ triangleq ⋈ bowtie ⌣ smile ⌢ frown ⩽ leqslant ⩾ geqslant ≲ lesssim ≳ gtrsim ≮ nless ≯ ngtr "
    "≰ nleq ≱ ngeq ⊲ vartriangleleft ⊳ vartriangleright ⊴ trianglelefteq ⊵ trianglerighteq ∴ therefore ∵ because "
    "≔ coloneqq ∶ colon ⊩ Vdash ≁ nsim ≇ ncong"
)
ARROWS = (
    "→ to ← leftarrow ↔ leftrightarrow ⇒ Rightarrow ⇐ Leftarrow ⇔ Leftrightarrow ↦ mapsto ↑ uparrow ↓ downarrow "
    "↕ updownarrow ⇑ Uparrow ⇓ Downarrow ⟶ longrightarrow ⟵ longleftarrow ⟹ Longrightarrow ⟸ Longleftarrow "
    "⟺ Longleftrightarrow ⟷ longleftrightarrow ⟼ longmapsto ↪ hookrightarrow ↩ hookleftarrow ↗ nearrow ↘ searrow "
    "↙ swarrow ↖ nwarrow ⇌ rightleftharpoons ⇀ rightharpoonup ⇁ rightharpoondown ↼ leftharpoonup ↠ twoheadrightarrow "
    "↣ rightarrowtail ⇝ rightsquigarrow ↛ nrightarrow ⇏ nRightarrow ↾ upharpoonright ⇄ rightleftarrows"
)
DOTS = "… ldots ⋯ cdots ⋮ vdots ⋱ ddots"
FENCES = "⟨ langle ⟩ rangle 〈 langle 〉 rangle ⌊ lfloor ⌋ rfloor ⌈ lceil ⌉ rceil ‖ | ⟦ llbracket ⟧ rrbracket"


def _commands(pairs: str) -> dict[str, str]:
    words = pairs.split()
    return {character: f"\\{name}" for character, name in zip(words[::2], words[1::2], strict=True)}


LATEX = {
    **_commands(" ".join((GREEK, LETTERLIKE, OPERATORS, RELATIONS, ARROWS, DOTS, FENCES))),
    "∥": "\\|", "{": "\\{", "}": "\\}", "#": "\\#", "%": "\\%", "&": "\\&", "$": "\\$", "_": "\\_", "\\": "\\backslash",
    "~": "\\sim", "^": "\\hat{}", "−": "-", "‐": "-", "‑": "-", "–": "-", "—": "-", "′": "'", "″": "''", "‴": "'''",
    "∕": "/", "⁄": "/", "﹣": "-", "＝": "=", "⩵": "==", "⁡": "", "⁢": "", "⁣": "", "⁤": "", "\u200b": "", "\ufe00": "",
    "\u00a0": "\\ ", "\u2009": "\\,", "\u200a": "\\,", "\u2005": "\\:", "\u2004": "\\;", "\u2003": "\\quad ",
    "\u2002": "\\enspace ", "µ": "\\mu",
}  # fmt: skip
"""A character in mathematics to LaTeX; invisible operators to nothing."""
_FUNCTIONS = (
    "arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max "
    "min Pr sec sin sinh sup tan tanh"
)
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""Names that LaTeX sets upright by a command of their own."""
_TAKE_LIMITS = (
    "sum prod coprod bigcap bigcup bigvee bigwedge bigoplus bigotimes bigodot biguplus bigsqcup int iint iiint oint "
    "lim liminf limsup max min sup inf det gcd Pr"
)
TAKES_LIMITS = frozenset(f"\\{name}" for name in _TAKE_LIMITS.split())
"""Commands whose sub- and superscripts stand below and above without being told."""
TALL = ("\\frac", "\\sum", "\\int", "\\prod", "\\begin", "\\binom", "\\sqrt", "\\over", "\\under", "\\oint", "\\dfrac")
"""What makes fences grow."""
OPENING = dict(zip("([{⟨⌊⌈|‖∥〈", ("(", "[", "\\{", "\\langle", "\\lfloor", "\\lceil", "|", "\\|", "\\|", "\\langle"),
    strict=True))  # fmt: skip
CLOSING = dict(zip(")]}⟩⌋⌉|‖∥〉", (")", "]", "\\}", "\\rangle", "\\rfloor", "\\rceil", "|", "\\|", "\\|", "\\rangle"),
    strict=True))  # fmt: skip
OVER = {
    "^": "hat", "ˆ": "hat", "̂": "hat", "~": "tilde", "˜": "tilde", "∼": "tilde", "̃": "tilde", "¯": "bar", "‾": "bar",
    "̄": "bar", "ˉ": "bar", "̅": "bar", "-": "bar", "−": "bar", "―": "bar", "_": "bar", "→": "vec", "⃗": "vec", "⇀": "vec",
    "˙": "dot", "̇": "dot", ".": "dot", "¨": "ddot", "̈": "ddot", "⃛": "dddot", "ˇ": "check", "̌": "check", "˘": "breve",
    "̆": "breve", "´": "acute", "̀": "grave", "`": "grave", "˚": "mathring", "⏞": "overbrace", "︷": "overbrace",
    "⏜": "overparen", "←": "overleftarrow", "↔": "overleftrightarrow",
}  # fmt: skip
"""A character above a base to its accent command."""
WIDE = {"hat": "widehat", "tilde": "widetilde", "bar": "overline", "vec": "overrightarrow"}
"""The command when the base is more than one symbol."""
UNDER = {
    "_": "underline", "̲": "underline", "¯": "underline", "‾": "underline", "―": "underline", "⏟": "underbrace",
    "︸": "underbrace", "→": "underrightarrow", "←": "underleftarrow", "̱": "underline", "-": "underline",
}  # fmt: skip
"""A character below a base to its command."""
VARIANTS = {
    "bold": "mathbf", "double-struck": "mathbb", "script": "mathcal", "bold-script": "mathcal", "fraktur": "mathfrak",
    "bold-fraktur": "mathfrak", "sans-serif": "mathsf", "bold-sans-serif": "mathsf", "sans-serif-italic": "mathsf",
    "monospace": "mathtt", "bold-italic": "boldsymbol", "normal": "mathrm", "-tex-caligraphic": "mathcal",
    "-tex-calligraphic": "mathcal", "-tex-oldstyle": "mathrm",
}  # fmt: skip
"""MathML's mathvariant (MathML 3, section 3.2.2) to the command of the alphabet."""
STYLES = (
    ("DOUBLE-STRUCK", "mathbb"), ("BOLD ITALIC", "boldsymbol"), ("SCRIPT", "mathcal"), ("FRAKTUR", "mathfrak"),
    ("BLACK-LETTER", "mathfrak"), ("SANS-SERIF", "mathsf"), ("MONOSPACE", "mathtt"), ("BOLD", "mathbf"), ("ITALIC", ""),
)  # fmt: skip
"""Words in the Unicode name of a mathematical letter, and the command of its alphabet; the first that fits counts."""


def character_latex(character: str) -> str:
    """One character of a formula as LaTeX; itself if nothing better is known."""
    if (known := LATEX.get(character)) is not None:
        return known
    if character < "\x80":
        return character
    name = unicodedata.name(character, "")
    styled = "\U0001d400" <= character <= "\U0001d7ff" or "\u2100" <= character <= "\u214f"
    if styled and (plain := unicodedata.normalize("NFKC", character)) != character and len(plain) == 1:
        command = next((command for words, command in STYLES if words in name), "")
        inner = LATEX.get(plain, plain)
        return f"\\{command}{{{inner}}}" if command else inner
    return character


def joined(pieces: list[str]) -> str:
    """Pieces one after the other, with a space where a command's name would run into a letter."""
    row: list[str] = []
    for piece in filter(None, pieces):
        if row and piece[0].isalpha() and ends_in_command(row[-1]):
            row.append(" ")
        row.append(piece)
    return "".join(row)


def ends_in_command(latex: str) -> bool:
    """Whether a letter after `latex` would be read as part of its last command."""
    if not latex or not (latex[-1].isascii() and latex[-1].isalpha()):
        return False
    before = latex.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return before.endswith("\\") and not before.endswith("\\\\")


def text_latex(text: str) -> str:
    """Words inside a formula."""
    text = " ".join(text.replace("\u00a0", " ").split(" "))
    escaped = "".join(f"\\{c}" if c in "{}#%&$_" else "\\textbackslash{}" if c == "\\" else c for c in text)
    return f"\\text{{{escaped}}}" if escaped.strip() else "\\ " if escaped else ""
