"""What makes a page one file that asks the network for nothing: its policy, and style and scripts written into it."""

from importlib.resources import files

from libertas.page.markup import Markup, element

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""Content security policy: the browser itself refuses every request, whatever a text in the page may hold."""


def plotly_source() -> str:
    """What `plotly.offline.get_plotlyjs` returns, without importing plotly's thousands of Python classes."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def static_text(package: str, name: str) -> str:
    """A file of the folder `static` in a package."""
    return (files(package) / "static" / name).read_text(encoding="utf-8")


def page_script(source: str) -> Markup:
    """A script as it stands in a page."""
    assert "</script" not in source.lower(), "a script would end too early"
    return element("script", {}, Markup(source))
