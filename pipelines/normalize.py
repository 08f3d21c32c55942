"""Stage: read data/raw/<dataset> into the corpus data/corpus/<dataset>, nothing lost without a
reason.
"""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("normalize")
def main(config: dict[str, Any]) -> None:
    from ostinato.datasets.manifest import read_manifest
    from ostinato.music.corpus import describe, write_corpus
    from ostinato.music.normalize import normalize_folder, options_from

    name = config["choices"]["dataset"]
    raw = Path("data/raw") / name
    manifest = read_manifest(raw)
    pieces, rejected = normalize_folder(raw, options_from(name, config["dataset"]["normalize"]))
    origin = {key: manifest[key] for key in ("licence", "citation", "url")}
    summary = write_corpus(Path("data/corpus") / name, name, pieces, rejected, origin)
    print(describe(summary))


if __name__ == "__main__":
    main()
