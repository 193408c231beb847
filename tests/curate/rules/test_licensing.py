"""SPDX expressions against a list of allowed licenses."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.curate.rules.analysis import Analysis
from libertas.curate.rules.licensing import is_allowed, license_key
from libertas.curate.rules.rule import Wanted
from libertas.curate.rules.table import RULES
from libertas.document import Document

ALLOWED = frozenset(map(license_key, ("MIT", "Apache-2.0", "GPL-3.0", "https://example.org/terms/")))


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("mit", True),
        ("Apache-2.0", True),
        ("GPL-3.0-only", True),
        ("GPL-3.0-or-later", False),
        ("GPL-3.0+", False),
        ("MIT OR GPL-2.0-only", True),
        ("GPL-2.0-only or MIT", True),
        ("MIT AND GPL-2.0-only", False),
        ("MIT AND (GPL-2.0-only OR Apache-2.0)", True),
        ("BSD-2-Clause OR MIT AND BSD-3-Clause", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("http://example.org/terms", True),
        ("", False),
        ("MIT MIT", False),
        ("AND", False),
        ("(MIT", False),
        ("MIT)", False),
        ("(" * 10**5 + "MIT", False),
        ("MIT WITH", True),
    ],
)
def test_an_expression_is_allowed_when_its_terms_are(expression: str, allowed: bool) -> None:
    assert is_allowed(expression, ALLOWED) is allowed


TREES = st.recursive(
    st.sampled_from(["mit", "zlib", "isc"]),
    lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner),
    max_leaves=8,
)


@given(TREES)
def test_an_expression_means_what_python_makes_of_it(tree: object) -> None:
    def spelled(node: object) -> str:
        return node if isinstance(node, str) else f"({spelled(node[0])} {node[1]} {spelled(node[2])})"

    text = spelled(tree)
    for chosen in itertools.chain.from_iterable(itertools.combinations(("mit", "zlib", "isc"), n) for n in range(4)):
        names = {name: name in chosen for name in ("mit", "zlib", "isc")}
        assert is_allowed(text, frozenset(chosen)) is bool(eval(text.lower(), {}, names))


def test_a_document_without_a_license_is_not_allowed() -> None:
    def value(**meta: object) -> float | None:
        return RULES["allowed_license"].function(Analysis(Document("0" * 32, "", meta), Wanted(licenses=("MIT",))))

    assert value(license="MIT") == 1.0
    assert value() == 0.0
    assert value(license=[]) == 0.0
    assert value(license=["MIT", "Zlib"]) == 0.0
    assert value(license=["MIT", "mit"]) == 1.0
    assert RULES["allowed_license"].reason(0.0) == "license is not an allowed one"
