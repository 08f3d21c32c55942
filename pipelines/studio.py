"""Verb: a page in the browser to generate, change, hear and export pieces; weights=models
port=8020; see docs/studio.md.
"""

from pathlib import Path
from typing import Any

from ostinato.config import entry
from ostinato.files import PRETRAINED


@entry("studio")
def main(config: dict[str, Any]) -> None:
    place = Path(config["weights"] or "")
    if config["weights"] and not [*place.glob("model.json"), *place.glob("*/model.json")]:
        raise ValueError(f"weights={place} is no folder with a model.json, nor one of such folders")
    from ostinato.studio.models import Models, folders_under

    host, public = config["host"], config["public"]
    if host not in ("127.0.0.1", "localhost") and not public:
        raise ValueError(f"host={host} serves other machines; say public=true if that is meant")
    places = [
        Path(__file__).resolve().parents[1] / PRETRAINED,
        Path("models"),
    ]  # the page opens the first
    if config["weights"]:
        places = [Path(config["weights"])]
    models = Models(folders_under(places), config["device"], config["precision"])
    import torch

    torch.set_num_threads(config["threads"])
    from ostinato.studio.serve import serve

    serve(models, host, config["port"], tuple(config["names"]))


if __name__ == "__main__":
    main()
