"""Model folders that are kept in git: half precision, a card, and the model that `generate` takes.

Half precision halves the file; loaded weights are single precision again, rounded to 11 bits.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.files import (
    PRETRAINED,
    atomic_folder,
    model_made_by,
    read_json,
    sha256_file,
    write_json,
    write_text,
)

MOST_BYTES = 4_000_000
FORMAT = 1  # of model.json
CARD = """# {system}: pretrained on {dataset}

`python pipelines/generate.py` without `weights=` takes this model{default}.

| | |
|---|---|
| family, size | {family}, {size}: {parameters:,} parameters |
| trained on | encoding {encoding} of dataset {dataset}, split train, seed {seed}, {steps:,} steps |
| likelihood on valid, test | {valid:.4f}, {test:.4f} {unit} ({full:.4f} on test before rounding) |
| weights | half precision, SHA-256 `{digest}` |
| rounded from | SHA-256 `{before}` |
| training tokens | SHA-256 `{tokens}` |

- Source: {url}
- Licence of the data: {licence}
- Citation: {citation}
- It makes music like that of its dataset, without dynamics and tempo. Samples may repeat passages
  of the training set; the evaluation of the system measures how much.

Rebuild it in a clone:

```
make repro
python pipelines/pretrained.py system={system}
```
"""


def check_place(out: Path) -> None:
    """Raise ValueError for a file, or a folder with files but no model in half precision: all of it
    would be lost.
    """
    card = out / "model.json"
    if not out.exists() or (card.exists() and '"rounded_from"' in card.read_text(encoding="utf-8")):
        return
    if not out.is_dir() or any(out.iterdir()):
        raise ValueError(
            f"out={out} exists and holds no model in half precision; one would replace all that is "
            "in it: give another folder with out=…"
        )


def keep(trained: Path, out: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Write a model folder with rounded weights and return its `model.json`.

    Raises:
        ValueError: the weights would take more than `most_bytes`, or `out` holds something else.
    """
    check_place(out)
    import torch
    from safetensors.torch import load_file, save_file

    card = read_json(trained / "model.json", expect_format=FORMAT, made_by=model_made_by(trained))
    weights = load_file(trained / "weights.safetensors")
    halves = {name: w.half() if w.is_floating_point() else w for name, w in weights.items()}
    beyond = [name for name, half in halves.items() if not torch.isfinite(half).all()]
    if beyond:
        raise ValueError(f"{trained}: {beyond[0]} has weights that half precision cannot hold")
    size = sum(half.numel() * half.element_size() for half in halves.values())
    if size > most_bytes:
        raise ValueError(
            f"{trained} takes {size:,} bytes in half precision, more than {most_bytes:,}; take a "
            f"smaller size of model, or allow it with most_bytes={size}"
        )
    with atomic_folder(out) as folder:
        save_file(halves, folder / "weights.safetensors")
        digest = sha256_file(folder / "weights.safetensors")
        kept = card | {"weights_sha256": digest, "rounded_from": card["weights_sha256"]}
        write_json(folder / "model.json", kept)
    return kept


def write_card(folder: Path, card: Mapping[str, Any], nats: Mapping[str, float]) -> None:
    """Write README.md; nats: a token, on `valid` and `test`, and on test with `full` precision."""
    is_default = folder.as_posix().endswith(PRETRAINED)
    text = CARD.format(
        **{key: card[key] for key in ("system", "dataset", "family", "size", "parameters")},
        **{key: card[key] for key in ("encoding", "seed")},
        **{key: card["origin"][key] for key in ("url", "licence", "citation")},
        **nats,
        default="" if is_default else f" with `weights={folder.as_posix()}`",
        unit="nats per token",
        steps=card["training"]["steps"],
        digest=card["weights_sha256"],
        before=card["rounded_from"],
        tokens=card["tokens_digest"],
    )
    write_text(folder / "README.md", text)
