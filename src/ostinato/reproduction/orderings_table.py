"""Figures over random orderings beside the published ones, as Markdown."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.files import read_json
from ostinato.reproduction.folder import FORMAT
from ostinato.reproduction.orderings import ORDERINGS

WORDS = """
## Over random orderings

Nats per frame (four cells) and per cell, on one crop of {crop} steps of each piece. These are **no
bounds**: over {orderings} orderings a frame's probabilities are averaged, so it counts mostly as in
the ordering that knew most around it (Algorithm 1 of Coconet, Huang et al. 2017). In brackets is
the mean over the orderings instead; of cells, that is a bound on the crop.

"""


def orderings_table(folder: Path, published: Path, settings: Mapping[str, Any]) -> str:
    """A section with the figures of every file of the folder, then those of the CSV file."""
    heads = [f"{split}, per {unit}" for unit in ORDERINGS for split in settings["splits"]]
    lines = [["", "model", "pieces", *heads, "known"]]
    for path in sorted(folder.glob("*.json")):
        read = read_json(path, expect_format=FORMAT, made_by="dvc repro")
        figures = [read.get(u, {}).get(s) for u in ORDERINGS for s in settings["splits"]]
        pieces = ", ".join(str(found["pieces"]) if found else "–" for found in figures)
        lines.append(["ours", path.stem, pieces, *map(_cell, figures), "measured"])
    with published.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cells = [row[unit] or "–" for unit in ORDERINGS for _ in settings["splits"]]
            known = "from memory, unverified" if row["known"] == "memory" else row["known"]
            lines.append(["published", row["model"], "", *cells, f"{known}; {row['note']}"])
    lines.insert(1, ["---"] * len(lines[0]))
    return WORDS.format(**settings) + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(found: Mapping[str, Any] | None) -> str:
    """Both figures of a split; – where it was not scored."""
    if found is None:
        return "–"
    mixed, single = found["averaged_probability"], found["mean_of_orderings"]
    return f"{mixed['value']:.3f} [{mixed['low']:.3f}, {mixed['high']:.3f}] ({single['value']:.3f})"
