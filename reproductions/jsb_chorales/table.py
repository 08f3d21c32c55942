"""Stage: our rows beside the published ones, as table.md and table.csv; seeds of one size are one
row.
"""

from pathlib import Path

from ostinato.files import write_text
from ostinato.reproduction.folder import read_params
from ostinato.reproduction.orderings_table import orderings_table
from ostinato.reproduction.published import (
    Column,
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
    Column("valid_pieces", "valid, mean of pieces", "valid", "all", "piece_weighted"),
    Column("valid_no_leak", "valid, no leak", "valid", "without_leaks", "token_weighted"),
    Column(
        "valid_pieces_no_leak", "the same, of pieces", "valid", "without_leaks", "piece_weighted"
    ),
    Column("test", "test", "test", "all", "token_weighted"),
    Column("test_pieces", "test, mean of pieces", "test", "all", "piece_weighted"),
)
BASELINES = Path("scores/baselines.json")

WORDS = """\
<!-- written by table.py: dvc repro table -->
Nats for each voice at each sixteenth (natural logarithm, rests included, whole pieces, every cell
once), JSB Chorales in the official split; lower is better. Published figures are of the validation
pieces, and our checkpoints were chosen by the same. [low, high]: 95 % bootstrap over pieces, means
over the seeds; ±: standard deviation over the seeds. `valid` and `test` weigh every cell alike;
"mean of pieces" is the mean of each piece's own mean (which of the two was published is not
known). "no leak" leaves out the copies of training pieces: {leaked}.
≤: a bound on the nats, the mean over random orders of revealing the cells; models that fill gaps
see what follows, so do not rank them with those that predict what comes next.

"""


if __name__ == "__main__":
    params = read_params()
    rows = [
        *our_rows(params["systems"] | mixtures_of(params), params["frozen"], COLUMNS),
        *published_rows(Path("published.csv")),
        *baseline_rows(BASELINES, COLUMNS),
    ]
    leaked = ", ".join(copies_in(BASELINES)) or "none"
    text = WORDS.format(leaked=leaked) + markdown_table(rows, COLUMNS)
    text += orderings_table(Path("orderings"), Path("published_orderings.csv"), params["orderings"])
    write_text(Path("table.md"), text)
    write_text(Path("table.csv"), csv_text(rows, COLUMNS))
