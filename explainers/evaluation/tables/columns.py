"""Tables of text: cells in columns for a terminal, or for a document."""

from __future__ import annotations

import html
from collections.abc import Sequence

from explainers.evaluation.controls import is_control


def laid_out(lines: Sequence[Sequence[str]], width: int) -> list[str]:
    """The table in as many blocks of columns as it takes to stay within a width; each begins with the first column.

    Args:
        lines: rows of cells, the heading first.
    """
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    blocks: list[list[int]] = [[]]
    for column in range(1, len(widths)):
        if blocks[-1] and widths[0] + sum(widths[each] + 2 for each in (*blocks[-1], column)) > width:
            blocks.append([])
        blocks[-1].append(column)
    text = []
    for block in blocks:
        for number, line in enumerate(lines):
            row = "  ".join(line[column].ljust(widths[column]) for column in (0, *block)).rstrip()
            text += [row, "-" * len(row)] if number == 0 else [row]
        text.append("")
    return text


def markdown(lines: Sequence[Sequence[str]]) -> list[str]:
    """The table for a document."""
    text = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]
    text.insert(1, "|" + "---|" * len(lines[0]))
    return text


def as_html(lines: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """A table with its heading and a list of notes, everything escaped; rows of controls say that they are."""
    head, *body = lines
    style = ' style="text-align:left"'
    cells = "".join(f'<th scope="col"{style}>{html.escape(cell)}</th>' for cell in head)
    rows = "".join(f"<tr>{_html_row(line, style)}</tr>" for line in body)
    told = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table><ul>{told}</ul>"


def _html_row(line: Sequence[str], style: str) -> str:
    name, *rest = (html.escape(cell) for cell in line)
    name = f"<em>{name}</em> (control)" if is_control(line[0].rstrip("!")) else name
    return f'<th scope="row"{style}>{name}</th>' + "".join(f"<td{style}>{cell}</td>" for cell in rest)
