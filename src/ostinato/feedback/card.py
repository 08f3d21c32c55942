"""study.json of a study, read without torch: a mistake should not wait for it."""

from pathlib import Path
from typing import Any

from ostinato.files import read_json, sha256_json

FORMAT = 1
ROOT = Path("data")


def read_card(learns_from: str) -> dict[str, Any]:
    """study.json of `learns_from`, such as feedback/simulated.

    Raises:
        MissingInput, DamagedFile: names the file and the command that makes it.
    """
    folder = ROOT / learns_from
    made_by = f"dvc repro feedback@{folder.name}"
    return read_json(folder / "study.json", expect_format=FORMAT, made_by=made_by)


def base_of(learns_from: str) -> dict[str, Any]:
    """What a tuned system's settings say of its base: system, family, settings and weights, whether
    its preferences are simulated, and the study's own digest.
    """
    card = read_card(learns_from)
    base = {key: card["base"][key] for key in ("system", "family", "model", "weights_sha256")}
    return base | {"simulated": card["simulated"], "study_sha256": sha256_json(card)}
