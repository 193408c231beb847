"""A table as Markdown: rows between pipes (GitHub Flavored Markdown, section 4.10).

Spans are filled with empty cells, so that columns line up. A span costs a number, however wide it is: a cell over
9,007,199,254,740,991 columns costs nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from libertas.gather.blocks import LINE_BREAK
from libertas.gather.markdown_inline import FORMULA, Run, inline

MOST_COLUMNS = 100
"""Wider tables are written as ordinary blocks."""
MOST_ROWS = 65_534
"""How far down a cell may reach (HTML standard, section 4.9.11)."""
SPAN = re.compile(r'(?:^| )(col|row)span="\s*0*(\d+)')
CELL_BREAK = "<br>"


@dataclass(slots=True)
class Cell:
    """A cell and the blocks in it."""

    column: int
    is_head: bool
    blocks: list[list[Run]] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """A table while it is read."""

    rows: list[list[Cell]] = field(default_factory=list)
    free: int = 0
    """First column of the row that is free, as far as cells of this row go."""
    held: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Cells from above by their column: the column behind them, and the row below them."""
    too_wide: bool = False

    def begin_row(self) -> None:
        """Further cells are in a new row."""
        self.rows.append([])
        self.free = 0

    def begin_cell(self, attributes: str, *, is_head: bool) -> None:
        """Further blocks are in a new cell."""
        if not self.rows:
            self.begin_row()
        row, column = len(self.rows) - 1, self.free
        while column < MOST_COLUMNS and (above := self.held.get(column, (0, 0)))[1] > row:
            column = above[0]
        self.too_wide |= column >= MOST_COLUMNS
        spans = {name: int(digits[:9]) for name, digits in SPAN.findall(attributes)} if attributes else {}
        self.free = column + min(max(spans.get("col", 1), 1), MOST_COLUMNS)
        if spans.get("row", 1) != 1:  # 0 is down to the end
            self.held[column] = self.free, row + min(spans["row"] or MOST_ROWS, MOST_ROWS)
        self.rows[-1].append(Cell(column, is_head))

    def add(self, runs: list[Run], *, after_break: bool) -> None:
        """A block of the cell; captions and what else is outside of cells make a row of their own."""
        if not self.rows or not self.rows[-1]:
            self.begin_cell("", is_head=False)
        blocks = self.rows[-1][-1].blocks
        if blocks and after_break:
            blocks[-1] += [((), LINE_BREAK), *runs]
        else:
            blocks.append(runs)

    def blocks(self) -> Iterator[list[Run]]:
        """All blocks in order."""
        for row in self.rows:
            for cell in row:
                yield from cell.blocks

    def lines(self) -> list[str] | None:
        """The rows as lines; None for what is only laid out as a table, or does not fit into lines."""
        rows = [filled for row in self.rows if (filled := [cell for cell in row if cell.blocks])]
        columns = sorted({cell.column for row in rows for cell in row})
        heads = any(cell.is_head for row in rows for cell in row)
        if self.too_wide or not rows or (not heads and (len(rows) == 1 or len(columns) == 1)):
            return None
        if any(len(cell.blocks) > 1 or _has_bars(cell.blocks[0]) for row in rows for cell in row):
            return None
        place = {column: i for i, column in enumerate(columns)}
        texts = []
        if heads and not all(cell.is_head for cell in rows[0]):
            texts.append([""] * len(columns))
        for row in rows:
            texts.append([""] * len(columns))
            for cell in row:
                texts[-1][place[cell.column]] = inline(cell.blocks[0], CELL_BREAK, escape=False).replace("|", "\\|")
        texts.insert(1, ["---"] * len(columns))
        return [f"| {' | '.join(text)} |" for text in texts]


def _has_bars(runs: list[Run]) -> bool:
    """A formula in it has a character that cannot stand in a cell."""
    return any("\ue000" in text and any(set(f) & {"|", "\n"} for f in FORMULA.findall(text)) for _, text in runs)
