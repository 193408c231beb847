"""Images of formulas whose address or description is the formula's source."""

import re
from urllib.parse import unquote, unquote_plus

BY_QUERY = re.compile(
    r"codecogs\.com/|(?:mime|math|/)tex\.cgi|mathtex\.cgi|/(?:gif|svg|png|emf|swf)\.(?:latex|image|download)\?",
    re.IGNORECASE,
)
"""The whole query is the formula: CodeCogs, mimeTeX, mathTeX."""
BY_NAME = re.compile(
    r"chart\?.*\bchl=(?P<google>[^&]*)|equation\?.*?\btex=(?P<zhihu>[^&]*)|render/math\?.*?\bmath=(?P<github>[^&]*)"
    r"|math\.now\.sh/?\?.*?\bfrom=(?P<now>[^&]*)|latex\.php\?.*?\b(?:latex|tex)=(?P<wordpress>[^&]*)"
    r"|upmath\.me/(?:svg|png)/(?P<upmath>[^?]*)",
    re.IGNORECASE,
)
"""One value of the address is the formula."""
BY_ALT = re.compile(
    r"(?:^|\s)(?:tex|latex|latexblock|math|mwe-math-fallback-\S+|x-ck12\S*|ql-img-(?:inline-formula|displayed-equation)"
    r"|mathdisplay|math-?(?:inline|tex|image|formula)|texrender|equation_image|latex_equation)(?:\s|$)",
    re.IGNORECASE,
)
"""Classes of images whose description is the formula."""
LAYOUT = re.compile(
    r"\\(?:dpi|bg|fg|fn)\s*\{\w*\}|\\(?:bg|fn)_\w+|\\(?:inline|tiny|small|large|LARGE|huge|normalsize)(?![A-Za-z])"
)
"""What CodeCogs is told about the image, not the formula."""
LONGEST_ADDRESS = 8_000


def image_formula(address: str, description: str, classes: str) -> str | None:
    """The LaTeX of an image with this src, alt and class, or None if it is not known to be a formula."""
    description = description.strip()
    if BY_ALT.search(classes):
        return description or None
    if len(address) > LONGEST_ADDRESS or address.startswith("data:"):
        return None
    if BY_QUERY.search(address) and "?" in address:
        return _cleaned(unquote(address.partition("?")[2]))
    if "/images/math/codecogs" in address:
        return description or None
    if found := BY_NAME.search(address):
        value = found[found.lastgroup or 0]
        if found.lastgroup == "wordpress":
            return description or unquote_plus(value)
        return unquote(value) if found.lastgroup == "upmath" else unquote_plus(value)
    return description or None if "latex.php" in address else None


def _cleaned(source: str) -> str:
    source = source.replace("&space;", " ").replace("&plus;", "+").replace("\u00a0", " ")
    return LAYOUT.sub("", source.removeprefix("latex=")).strip()
