"""Stage: download a dataset into data/raw/<dataset>, verified, with a manifest.

`add=<name> path=<folder>` makes a dataset from your own files, `update=<name>` updates it after a
change. OSTINATO_MIRROR names a folder of archives, which is searched before the web.
"""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("download")
def main(config: dict[str, Any]) -> None:
    from ostinato.datasets import own
    from ostinato.datasets.source import download, source_from

    if config["update"] is not None and (config["add"] is not None or config["path"] is not None):
        raise ValueError("update takes its folder from the dataset: give it without add and path")
    if config["update"] is not None:
        own.update(str(config["update"]))
    elif config["add"] is not None or config["path"] is not None:
        own.add(config["add"], config["path"])
    else:
        name = config["choices"]["dataset"]
        source = source_from(name, config["dataset"]["source"])
        out = Path("data/raw") / name
        manifest = download(name, source, out, normalize=config["dataset"].get("normalize"))
        print(f"{name}: {len(manifest['files'])} files, digest {manifest['digest'][:16]}")


if __name__ == "__main__":
    main()
