"""The table of rules and what is written about it agree."""

import re
from pathlib import Path

from libertas.curate.rules.table import DEFAULT_RULES, FAMILIES, NEEDS, RULES

DOCUMENTED = re.compile(r"^\| `(\w+)`( ·)? \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def spelled(low: float | None, high: float | None) -> str:
    """Limits as the page has them."""
    if low is None and high is None:
        return "–"
    return f"at most {high:,g}" if low is None else f"at least {low:,g}" if high is None else f"{low:,g} to {high:,g}"


def test_the_page_about_rules_has_every_rule_with_its_limits_and_source() -> None:
    page = (Path(__file__).parents[3] / "docs" / "concepts" / "rules.md").read_text(encoding="utf-8")
    found = {m[1]: (bool(m[2]), *(cell.strip() for cell in m.groups()[2:])) for m in DOCUMENTED.finditer(page)}
    assert found == {
        name: (name not in DEFAULT_RULES, spelled(rule.low, rule.high), rule.unit, rule.source)
        for name, rule in RULES.items()
    }


def test_every_rule_is_in_a_family_or_needs_a_setting_and_every_name_is_its_own() -> None:
    assert set(FAMILIES["all"]) | set(NEEDS) == set(RULES)
    assert all(rule.name == name for name, rule in RULES.items())
    assert not set(FAMILIES) & set(RULES)
