"""Recognizes a finished model folder, so that no training replaces one by accident.

Imports neither torch nor Lightning: a refusal should not wait for them.
"""

import json
from pathlib import Path
from typing import Any

from ostinato.files import DamagedFile, read_json, require, sha256_file
from ostinato.loading.tokens import TokenSet
from ostinato.training.identity import differences
from ostinato.training.settings import Settings

FORMAT = 1  # of model.json
REPLACE = "overwrite=true replaces it"


def finished(
    out: Path, settings: Settings, tokens: TokenSet, *, overwrite: bool = False
) -> dict[str, Any] | None:
    """The `model.json` of the model that these settings and data have made in `out`; None where it
    is still to be trained, or any model there is to be replaced (`overwrite`).

    Raises:
        ValueError: `out` holds a model of other settings or data, with both values, or other files.
        DamagedFile: the model there is not what was written.
    """
    _refuse_other_files(out)
    if overwrite or not (out / "model.json").exists():
        return None
    card = read_json(out / "model.json", expect_format=FORMAT, made_by=f"this command: {REPLACE}")
    wanted = json.loads(json.dumps(settings.plain() | {"tokens_digest": tokens.digest}))
    found = {key: card[key] for key in wanted if key in card}
    if changed := differences({"settings": found}, {"settings": wanted}, there=f"in {out}"):
        raise ValueError(
            f"{out} holds a finished model that differs:\n  " + "\n  ".join(changed) + "\n"
            f"give another folder with out=…; {REPLACE}"
        )
    weights = require(out / "weights.safetensors", f"this command: {REPLACE}")
    if sha256_file(weights) != card["weights_sha256"]:
        raise DamagedFile(f"{weights} has changed since it was trained; {REPLACE}")
    return card


def _refuse_other_files(out: Path) -> None:
    """Raise ValueError for a file, or a folder with files but no model: a model folder is written
    whole, so they would be lost.
    """
    if not out.exists() or (out / "model.json").exists():
        return
    if not out.is_dir() or any(out.iterdir()):
        raise ValueError(
            f"out={out} exists and is no model folder; a model would replace all that is in it: "
            "give another folder with out=…"
        )
