"""The page: sections, charts as data, style and script in one file that asks the network for nothing."""

from pathlib import Path

from libertas.page.markup import Markup, element, embedded_json
from libertas.page.offline import POLICY, page_script, plotly_source, static_text
from libertas.serve.charts import bits_chart, choices_chart, training_chart
from libertas.serve.life import Life
from libertas.serve.scoreboard import scoreboard
from libertas.serve.sections import composition, footer, header, left_out, summary, training
from libertas.serve.spans_section import traced_text
from libertas.serve.tree import lineage_tree

CONTENTS = (
    ("training", "Training"),
    ("composition", "Composition"),
    ("drops", "Drops"),
    ("scores", "Scores"),
    ("text", "Text"),
    ("lineage", "Lineage"),
)


def html_page(life: Life, out: Path) -> str:
    """The whole page, for a report at the absolute path `out`; paths are shown from the folder that holds it."""
    charts = {"training": training_chart(life.metrics, life.checkpoints)} if life.metrics else {}
    if life.scores:
        if life.scores["bits_per_byte"]:
            charts["bits"] = bits_chart(life.scores["bits_per_byte"])
        if life.scores["continuation"]["protocols"]:
            charts["choices"] = choices_chart(life.scores["continuation"]["protocols"])
    head = [
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("meta", {"name": "description", "content": summary(life)}),
        element("link", {"rel": "icon", "href": "data:,"}),
        element("title", {}, f"{life.manifest.config['model']}: the life of a model"),
        element("style", {}, Markup(static_text("libertas.page", "page.css"))),
    ]
    links = [element("a", {"href": f"#{name}"}, label) for name, label in CONTENTS]
    body = [
        header(life),
        element("nav", {"aria-label": "contents"}, links),
        element(
            "main",
            {},
            training(life),
            composition(life),
            left_out(life),
            scoreboard(life),
            traced_text(life),
            lineage_tree(life, out.parent),
        ),
        footer(life, out.name),
        element("script", {"type": "application/json", "id": "charts"}, embedded_json(charts)),
        page_script(plotly_source()),
        page_script(static_text("libertas.serve", "report.js")),
    ]
    return f"<!doctype html>\n{element('html', {'lang': 'en'}, element('head', {}, head), element('body', {}, body))}\n"
