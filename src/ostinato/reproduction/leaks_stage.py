"""The stage of reproductions/<paper> that audits official splits: leaks.csv and leaks.md."""

import argparse
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ostinato.files import read_json, write_text
from ostinato.reproduction.folder import FORMAT, SPLITS, read_params, run_stage
from ostinato.reproduction.leaks import KINDS, Leak, compare, counts, find_leaks

WORDS = """\
<!-- written by leaks.py: dvc repro leaks -->
Held-out pieces that are also in the training set of the official split. copy: the same music in
any key; tune: the melody shares a tune with that of a training piece (docs/datasets.md); phrase:
only a passage worth 18 nats, about eleven steps or more; clean: neither. leaks.csv names the
pieces.

"""
BESIDE = """
Likelihoods of leaked pieces (copy or tune) beside those of the others (phrase or clean): mean over
pieces of nats per {unit}, and leaked minus others with its 95 % bootstrap interval over groups of
one tune. Baselines that see one or two notes know no tunes: their difference says how much easier
the leaked pieces are in themselves.

"""


def audit_splits(datasets: Sequence[str], unit: str) -> None:
    """Write leaks.csv and leaks.md for datasets of params.yaml whose splits are official."""
    params = read_params()
    found = {dataset: find_leaks(Path("data/corpus") / dataset) for dataset in datasets}
    write_text(Path("leaks.csv"), _csv(found))
    chance = {key: params["protocol"][key] for key in ("seed", "resamples")}
    rows = list(_likelihoods(found, params["encodings"], chance))
    text = WORDS + _counted(found)
    if rows:
        text += BESIDE.format(unit=unit) + "".join(rows)
    write_text(Path("leaks.md"), text)


def _csv(found: Mapping[str, Sequence[Leak]]) -> str:
    text = io.StringIO()
    rows = [{"dataset": name} | asdict(leak) for name, leaks in found.items() for leak in leaks]
    fields = ["dataset", *Leak.__dataclass_fields__]
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _counted(found: Mapping[str, Sequence[Leak]]) -> str:
    lines = [f"| dataset | split | pieces | {' | '.join(KINDS)} |", "|" + "---|" * 7]
    for dataset, leaks in found.items():
        for split, table in counts(leaks).items():
            numbers = [sum(table.values()), *table.values()]
            lines.append(f"| {dataset} | {split} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines) + "\n"


def _likelihoods(
    found: Mapping[str, Sequence[Leak]], encodings: Mapping[str, Any], chance: Mapping[str, int]
) -> Iterator[str]:
    """Lines of the table of rows that were scored piece by piece; then the rows that were not."""
    missing = []
    head = [
        "dataset",
        "row",
        *(f"{s}: {x}" for s in SPLITS for x in ("leaked", "others", "difference")),
    ]
    lines = [f"| {' | '.join(head)} |\n", "|" + "---|" * len(head) + "\n"]
    for name, encoding, scores in _scores():
        dataset = encodings[encoding]["dataset"]
        if dataset not in found:
            continue
        if any("by_piece" not in scores[split] for split in SPLITS):
            missing.append(name)
            continue
        cells = [dataset, name]
        for split in SPLITS:
            part = [leak for leak in found[dataset] if leak.split == split]
            compared = compare(part, scores[split]["by_piece"], **chance)
            cells += [f"{compared[side]['value']:.3f}" if compared[side]["count"] else "–"
                      for side in ("leaked", "clean")]  # fmt: skip
            cells.append(_interval(compared["difference"]))
        lines.append(f"| {' | '.join(cells)} |\n")
    if len(lines) > 2:
        yield from lines
    if missing:
        yield f"\nScored before nats were kept by piece: {', '.join(missing)}.\n"


def _scores() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, encoding and figures of every row in scores/, baselines last."""
    paths = sorted(Path("scores").glob("*.json"), key=lambda p: ("baselines" in p.stem, p.stem))
    for path in paths:
        read = read_json(path, expect_format=FORMAT, made_by="dvc repro")
        if "baselines" in read:
            for name, scores in read["baselines"].items():
                yield f"baseline {name}", read["encoding"], scores
        else:
            yield read["system"], read["encoding"], read


def _interval(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return "–"
    return f"{value['value']:+.3f} [{value['low']:+.3f}, {value['high']:+.3f}]"


def leaks_stage(unit: str) -> None:
    """The command `python leaks.py <dataset> …`; unit: what a figure is divided by."""
    parser = argparse.ArgumentParser(description="Find held-out pieces that are also in train.")
    parser.add_argument("datasets", nargs="+", help="datasets of params.yaml")
    options = parser.parse_args()
    run_stage(lambda: audit_splits(options.datasets, unit))
