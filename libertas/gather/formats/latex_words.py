"""What LaTeX's commands and environments mean for a reader: tables for `latex.py`, no code."""


def listed(names: str) -> frozenset[str]:
    """The words of a line."""
    return frozenset(names.split())


SECTIONS = {
    "part": 1,
    "chapter": 1,
    "section": 2,
    "subsection": 3,
    "subsubsection": 4,
    "paragraph": 5,
    "subparagraph": 6,
}
"""Sectioning commands and the level of their heading."""
MATH = listed("math displaymath equation align alignat flalign gather multline eqnarray dmath xalignat IEEEeqnarray")
"""Environments that hold a formula (with and without star)."""
BARE = frozenset({"math", "displaymath", "equation", "dmath"})
"""Those among them that say nothing which `$$` does not say."""
VERBATIM = listed("verbatim Verbatim lstlisting minted alltt")
UNREAD = listed(
    "thebibliography tikzpicture tikzcd picture pspicture pgfpicture comment filecontents CCSXML titlepage asy"
)
"""Environments that hold nothing to read."""
TABLES = listed("tabular tabularx tabulary longtable array supertabular deluxetable")
LISTS = frozenset({"itemize", "enumerate", "description", "compactitem", "compactenum", "inparaenum", "inparaitem"})
WITH_ARGUMENTS = {
    "tabular": 1,
    "array": 1,
    "longtable": 1,
    "supertabular": 1,
    "deluxetable": 1,
    "tabularx": 2,
    "tabulary": 2,
    "minipage": 1,
    "multicols": 1,
    "adjustwidth": 2,
    "wrapfigure": 2,
    "wraptable": 2,
    "minted": 1,
    "list": 2,
    "alignat": 1,
    "xalignat": 1,
    "IEEEeqnarray": 1,
    "thebibliography": 1,
}
"""Environments with arguments that are layout, and how many."""
THEOREMS = {
    word: word.capitalize()
    for word in sorted(
        listed(
            "theorem lemma proposition corollary definition remark example proof conjecture claim exercise problem "
            "question assumption axiom notation fact observation situation solution convention algorithm slogan"
        )
    )
} | {"thm": "Theorem", "lem": "Lemma", "prop": "Proposition", "cor": "Corollary", "defn": "Definition"}
"""Environments that print a word before their text, by convention where the source does not declare them."""
SWALLOWED = {
    name: count
    for count, names in (
        (
            1,
            "label vspace hspace pagestyle thispagestyle bibliographystyle bibliography usepackage RequirePackage "
            "documentclass documentstyle includegraphics graphicspath epsfig epsfbox psfig index color pagecolor "
            "hypersetup linespread nocite addbibresource includeonly hyphenation pagenumbering geometry phantom "
            "vphantom hphantom affil affiliation address email institute institution date keywords pacs subjclass "
            "thanks dedicatory received captionsetup bibliographyunit usetikzlibrary tikzset pgfplotsset lstset "
            "theoremstyle newcounter stepcounter refstepcounter usecounter setstretch cline cmidrule markright "
            "enlargethispage rowcolor columncolor counterwithin numberwithin newlength newsavebox "
            "DeclareUnicodeCharacter orcid orcidlink titlerunning authorrunning toctitle tocauthor subtitlerunning "
            "preprint hfuzz acmConference",
        ),
        (
            2,
            "setlength addtolength setcounter addtocounter rule markboth settowidth fontsize definecolor "
            "newtheoremstyle",
        ),
        (3, "addcontentsline DeclareFontFamily DeclareMathAlphabet"),
    )
    for name in names.split()
}
"""Commands whose arguments are nothing to read, and how many they take."""
KEPT_LAST = {"textcolor": 1, "colorbox": 1, "parbox": 1, "makebox": 0, "raisebox": 1, "scalebox": 1, "resizebox": 2,
             "multicolumn": 2, "multirow": 2, "texorpdfstring": 0, "fcolorbox": 2, "foreignlanguage": 1}  # fmt: skip
"""Commands of which the last argument is text, and how many arguments come before it."""
CITATIONS = listed(
    "cite citep citet citealt citealp citeauthor citeyear parencite textcite autocite footcite Cite Citet Citep "
    "ref eqref autoref cref Cref pageref vref nameref"
)
"""Commands that name a reference or a label: written as the key in brackets."""
SYMBOLS = {
    "ldots": "…", "dots": "…", "textellipsis": "…", "S": "§", "P": "¶", "copyright": "©", "textregistered": "®",
    "texttrademark": "™", "pounds": "£", "euro": "€", "texteuro": "€", "dag": "†", "ddag": "‡", "LaTeX": "LaTeX",
    "TeX": "TeX", "BibTeX": "BibTeX", "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^",
    "textless": "<", "textgreater": ">", "textbar": "|", "textendash": "–", "textemdash": "—", "textquoteleft": "‘",
    "textquoteright": "’", "textquotedblleft": "“", "textquotedblright": "”", "textdegree": "°", "degree": "°",
    "textbullet": "•", "textunderscore": "_", "guillemotleft": "«", "guillemotright": "»", "ss": "ß", "ae": "æ",
    "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "i": "ı", "j": "ȷ",
    "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "quad": " ", "qquad": " ", "space": " ", "newline": "\n",
    "linebreak": "\n", "par": "\n\n", "bigskip": "\n\n", "medskip": "\n\n", "smallskip": "\n\n", "newpage": "\n\n",
    "clearpage": "\n\n", "pagebreak": "\n\n", "cleardoublepage": "\n\n", "cr": "\n",
}  # fmt: skip
"""Commands of text mode that print something of their own."""
ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "d": "\u0323", "b": "\u0331", "k": "\u0328",
    "r": "\u030a", "t": "\u0361",
}  # fmt: skip
"""Accent commands as combining characters, which follow their letter."""
CHARSETS = {"latin1": "iso-8859-1", "ansinew": "windows-1252", "applemac": "macintosh", "latin2": "iso-8859-2",
            "latin5": "iso-8859-9", "latin9": "iso-8859-15"}  # fmt: skip
"""Names that `inputenc` has for encodings, where they differ from everyone's."""
