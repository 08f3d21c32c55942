"""Counts the notes of a **kern file without our reader, for the balance of notes.

Counted are the notes that are struck: every pitch of the **kern spines, grace notes and repeated
sections once each as they are written, but not a note that ends or continues a tie (`]`, `_`).
A tied note that follows no note of its pitch is struck all the same; the reader's warning says how
many there are, and they come on top of this count.
"""

import re
from pathlib import Path


def count_notes(path: Path) -> int:
    """The number of struck notes that are written in a file."""
    kinds: list[str] = []
    total = 0
    for line in path.read_bytes().decode("latin-1").splitlines():
        cells = line.split("\t")
        if not line or line[0] == "!":
            continue
        if line[0] == "*":
            kinds = _follow(kinds, cells)
        elif line[0] != "=":
            total += sum(
                _struck(c) for kind, c in zip(kinds, cells, strict=True) if kind == "**kern"
            )
    return total


def _follow(kinds: list[str], cells: list[str]) -> list[str]:
    """The kinds of the columns after a line of interpretations."""
    if not kinds:
        return cells if cells[0].startswith("**") else []
    after: list[str] = []
    swapped: list[int] = []
    for place, (kind, cell) in enumerate(zip(kinds, cells, strict=True)):
        if cell == "*v" and place and cells[place - 1] == "*v":
            continue
        if cell == "*x":
            swapped.append(len(after))
        after += {"*-": [], "*^": [kind, kind], "*+": [kind, ""]}.get(
            cell, [cell if cell.startswith("**") else kind]
        )
    if len(swapped) == 2:
        first, second = swapped
        after[first], after[second] = after[second], after[first]
    return after


def _struck(cell: str) -> int:
    return sum(
        bool(re.search("[A-Ga-g]", text)) and "r" not in text
        and ("q" in text.lower() or not re.search(r"[\]_]", text))
        for text in cell.split(" ")
    )  # fmt: skip
