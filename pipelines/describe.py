"""Command: write a page about data/corpus/<dataset>: counts, histograms, random pieces,
rejected files and copies.
"""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("describe")
def main(config: dict[str, Any]) -> None:
    from ostinato.corpus.store import iterate_corpus, read_pieces, read_rejected, read_summary
    from ostinato.files import require, write_text
    from ostinato.report.corpus_collect import collect
    from ostinato.report.corpus_data import DescribeOptions
    from ostinato.report.corpus_page import build_corpus_page
    from ostinato.settings import checked

    name = config["choices"]["dataset"]
    options = checked(
        DescribeOptions, "describe", {key: config[key] for key in ("pieces", "seed", "seconds")}
    )
    corpus = Path("data/corpus") / name
    require(corpus / "summary.json", f"python pipelines/normalize.py dataset={name}")
    data = collect(
        read_pieces(corpus),
        iterate_corpus(corpus),
        read_summary(corpus),
        read_rejected(corpus),
        options,
    )
    page = Path("renders/corpora") / name / "index.html"
    write_text(page, build_corpus_page(data))
    print(f"{name}: {data.pieces} pieces, {data.notes} notes, {data.seconds / 3600:.1f} hours")
    for ranking in data.labels:
        if ranking.title in ("Style", "Genre", "Roles"):
            counts = ", ".join(f"{value} ({count:g})" for value, count in ranking.rows)
            print(f"{ranking.title.lower()}: {counts}")
    for line in data.few:
        print(f"warning: {line}")
    print(f"open {page}")


if __name__ == "__main__":
    main()
