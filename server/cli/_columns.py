"""Rows of a table as lines: the first column to the left, numbers to the right."""

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line per row, columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_cell(cell, widths[at], at) for at, cell in enumerate(row)).rstrip() for row in rows]


def _cell(cell: str, width: int, at: int) -> str:
    return cell.ljust(width) if at == 0 else cell.rjust(width)
