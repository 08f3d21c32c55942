"""Stage: encode a corpus as the arrays data/tokens/<encoding>."""

from pathlib import Path
from typing import Any

from ostinato.config import entry, entry_of


@entry("encode")
def main(config: dict[str, Any]) -> None:
    from ostinato.corpus.store import iterate_corpus, read_summary
    from ostinato.representations.registry import build, form_of
    from ostinato.representations.store import describe, write_encoding

    name, chosen = config["encoding"], config["choices"]["representation"]
    item = entry_of(config["encodings"], name, "encoding")
    if item["representation"] != chosen:
        raise ValueError(
            f"representation={chosen} contradicts params.yaml, where encoding {name} has "
            f"representation {item['representation']}; give representation={item['representation']}"
        )
    form = form_of(config["representation"]["kind"])
    if item["form"] != form:
        raise ValueError(
            f"encoding {name} has form {item['form']} in params.yaml, but representation {chosen} "
            f"is in representations/{form}/; write form: {form}"
        )
    corpus = Path("data/corpus") / item["dataset"]
    origin = read_summary(corpus)["origin"]
    representation = build(config["representation"])
    out = Path("data/tokens") / name
    summary = write_encoding(out, item["dataset"], iterate_corpus(corpus), representation, origin)
    print(describe(name, summary))


if __name__ == "__main__":
    main()
