"""The stage: a run, with its scores and a traced text -> one page that shows its whole life and works offline."""

from pathlib import Path

from libertas.lineage.artifact import Draft
from libertas.serve.config import ReportConfig
from libertas.serve.life import live
from libertas.serve.page import html_page
from libertas.terminal import progress

REPORT = "report.html"


def report(config: ReportConfig) -> Path:
    """Draw the page, or find it drawn; returns the file.

    The page holds no time of its own making and no absolute path: equal inputs make equal bytes.

    Raises:
        UsageError: result or trace is not of this run.
        BrokenLineage: something that the run came from was changed.
    """
    inputs = {
        "run": [config.run],
        "result": [config.result] if config.result else [],
        "trace": [config.trace] if config.trace else [],
    }
    draft = Draft(kind="report", out=config.out, config=config, inputs=inputs, code=__name__)
    if not draft.finished():
        life = live(config.run, config.result, config.trace)
        with draft.build() as folder, progress("Drawing"):
            written = html_page(life, config.out.absolute()).encode()
            (folder / REPORT).write_bytes(written)
            draft.counts = {
                "bytes": len(written),
                "artifacts": len(life.artifacts()),
                "spans": len(life.traced["spans"]) if life.traced else 0,
            }
    return config.out / REPORT
