"""Stage: bring a dataset's files into data/raw/<dataset>, verified, with a manifest of origins and
terms.
"""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("download")
def main(config: dict[str, Any]) -> None:
    from ostinato.datasets.source import download, source_from

    name = config["choices"]["dataset"]
    source = source_from(name, config["dataset"]["source"])
    manifest = download(name, source, Path("data/raw") / name)
    print(f"{name}: {len(manifest['files'])} files, digest {manifest['digest'][:16]}")
    print(f"licence: {manifest['licence']}")


if __name__ == "__main__":
    main()
