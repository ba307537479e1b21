"""Tables of text, written as Markdown or HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

LEFT_COLUMNS = 2  # of a table on a terminal: names, not numbers

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1rem }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ccc; text-align: right }
th:first-child, td:first-child { text-align: left }
thead th { border-bottom: 2px solid #888 }
p { max-width: 50rem } img { max-width: 100% }
"""


@dataclass(frozen=True)
class Table:
    """A table of text; the first column names the rows.

    Attributes:
        title: heading.
        columns: headings, as many as each row has cells.
        rows: cells.
        note: what a reader must know to read the numbers.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Document:
    """A report: facts, tables, and pictures that lie beside it.

    Attributes:
        title: heading.
        facts: name and value, in order.
        tables: in order.
        pictures: file name and caption, in order.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    pictures: tuple[tuple[str, str], ...] = ()


def as_markdown(document: Document) -> str:
    """The document as Markdown."""
    lines = [f"# {document.title}", ""]
    lines += [f"- {name}: {value}" for name, value in document.facts]
    for table in document.tables:
        lines += ["", f"## {table.title}", ""]
        lines += [_row(table.columns), _row(["---", *["---:"] * (len(table.columns) - 1)])]
        lines += [_row(row) for row in table.rows]
        lines += ["", table.note] if table.note else []
    for file, caption in document.pictures:
        lines += ["", f"![{caption}]({file})", "", caption]
    return "\n".join(lines) + "\n"


def as_text(table: Table) -> str:
    """A table for a terminal: columns aligned, without its note."""
    lines = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in lines) for column in range(len(table.columns))]
    aligned = [
        "  ".join(
            cell.ljust(width) if column < LEFT_COLUMNS else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in lines
    ]
    return "\n".join(["", table.title, *aligned])


def as_html(document: Document) -> str:
    """The document as one HTML page without scripts."""
    title = html.escape(document.title)
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>",
        "<ul>",
        *(f"<li>{html.escape(name)}: {html.escape(value)}</li>" for name, value in document.facts),
        "</ul>",
    ]
    for table in document.tables:
        head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
        parts.append(f"<h2>{html.escape(table.title)}</h2>")
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>")
        cells = [[f"<td>{html.escape(cell)}</td>" for cell in row] for row in table.rows]
        parts += [f"<tr>{''.join(row)}</tr>" for row in cells]
        parts.append("</tbody></table>")
        if table.note:
            parts.append(f"<p>{html.escape(table.note)}</p>")
    for file, caption in document.pictures:
        alt = html.escape(caption)
        parts.append(f'<p><img src="{html.escape(file)}" alt="{alt}"><br>{alt}</p>')
    return "\n".join([*parts, "</body></html>", ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
