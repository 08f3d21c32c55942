"""Stage: build the corpus data/corpus/<dataset> from data/raw/<dataset>."""

import time
from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("normalize")
def main(config: dict[str, Any]) -> None:
    from ostinato.datasets.manifest import read_manifest
    from ostinato.execution.parallel import executor_from
    from ostinato.normalization.build import build_corpus
    from ostinato.normalization.normalize import options_from
    from ostinato.normalization.summary import describe

    name = config["choices"]["dataset"]
    raw = Path("data/raw") / name
    options = options_from(name, config["dataset"]["normalize"])
    manifest = read_manifest(raw)
    print(f"licence: {manifest['licence']}")
    start = time.perf_counter()
    summary = build_corpus(
        raw,
        Path("data/corpus") / name,
        options,
        origin={key: manifest[key] for key in ("licence", "citation", "url")},
        executor=executor_from(config["executor"]),
    )
    print(describe(summary, seconds=time.perf_counter() - start))


if __name__ == "__main__":
    main()
