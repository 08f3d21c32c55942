"""Stage: our rows beside the published ones, a table for each set, as table.md and table.csv; seeds
of one size are one row.
"""

from pathlib import Path

from ostinato.files import write_text
from ostinato.reproduction.folder import read_params
from ostinato.reproduction.published import (
    Column,
    Row,
    baseline_rows,
    copies_in,
    csv_text,
    markdown_table,
    mixtures_of,
    our_rows,
    published_rows,
)

COLUMNS = (
    Column("valid", "valid", "valid", "all", "token_weighted"),
    Column("test", "test", "test", "all", "token_weighted"),
    Column("test_no_leak", "test, no leak", "test", "without_leaks", "token_weighted"),
    Column("test_pieces", "test, mean of pieces", "test", "all", "piece_weighted"),
)
TITLES = {
    "poly_jsb": "JSB Chorales",
    "poly_nottingham": "Nottingham",
    "poly_muse": "MuseData",
    "poly_piano": "Piano-midi.de",
}
DIGITS = 2

WORDS = """\
<!-- written by table.py: dvc repro table -->
Nats for each frame (natural logarithm): the sum over 88 keys of -log p(key | frames before, keys
before it), over all frames of a split but the first of each sequence, divided by the number of
those frames; whole sequences, official splits; lower is better. Our checkpoints were chosen by
valid, as TCN's were; test chose nothing. [low, high]: 95 % bootstrap over sequences, means over
the seeds; ±: standard deviation over the seeds. "no leak" leaves out the copies of training pieces,
"mean of pieces" is the mean of each sequence's own mean.
"""


def rows_of(encoding: str, params: Row) -> list[Row]:
    """All rows of one set."""
    ours, frozen = (
        {name: item for name, item in part.items() if item["encoding"] == encoding}
        for part in (params["systems"] | mixtures_of(params), params["frozen"])
    )
    rows = [
        *our_rows(ours, frozen, COLUMNS),
        *(row for row in published_rows(Path("published.csv")) if row["set"] == encoding),
        *baseline_rows(baselines_of(encoding), COLUMNS),
    ]
    return [{"set": encoding} | row for row in rows]


def baselines_of(encoding: str) -> Path:
    """Where the baselines stage leaves what needs no network."""
    return Path("scores") / f"baselines-{encoding}.json"


def section(encoding: str, rows: list[Row]) -> str:
    """One set's heading, its copies, and its rows."""
    copies = ", ".join(copies_in(baselines_of(encoding))) or "none"
    found = f"Copies of training pieces in valid and test: {copies}."
    return f"\n## {TITLES[encoding]}\n\n{found}\n\n{markdown_table(rows, COLUMNS, DIGITS)}"


if __name__ == "__main__":
    params = read_params()
    rows = {encoding: rows_of(encoding, params) for encoding in params["encodings"]}
    write_text(Path("table.md"), WORDS + "".join(section(*item) for item in rows.items()))
    flat = [row for group in rows.values() for row in group]
    write_text(Path("table.csv"), csv_text(flat, COLUMNS, first=["set"]))
