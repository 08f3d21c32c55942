"""Command: write a trained system in half precision into pretrained/<dataset>, with its card."""

from pathlib import Path
from typing import Any

from ostinato.config import entry, entry_of
from ostinato.files import PRETRAINED, model_made_by, require


@entry("pretrained")
def main(config: dict[str, Any]) -> None:
    system = config["system"]
    item = entry_of(config["systems"], system, "system")
    source = Path("models") / system
    require(source / "model.json", model_made_by(source))
    from ostinato.sampling.pretrained import check_place

    if config["out"]:
        check_place(Path(config["out"]))
    import torch

    from ostinato.evaluation.registry import scorer_of
    from ostinato.evaluation.scored import score_split
    from ostinato.loading.tokens import open_tokens
    from ostinato.sampling.load import Trained, check_trained_on, load_trained
    from ostinato.sampling.pretrained import keep, write_card

    trained = load_trained(source, family=item["family"])
    torch.set_num_threads(trained.card["training"]["threads"])
    tokens = open_tokens(Path("data/tokens") / item["encoding"])
    check_trained_on(trained, tokens)
    out = Path(config["out"] or Path(PRETRAINED).with_name(tokens.dataset))
    card = keep(source, out, config["most_bytes"])

    def nats(model: Trained, split: str) -> float:
        scorer = scorer_of(model.model, item["family"])
        if scorer is None:
            return float("nan")
        found = score_split(scorer, tokens, split)
        return float(found.nats.sum() / found.tokens.sum())

    rounded = load_trained(out)
    found = {split: nats(rounded, split) for split in ("valid", "test")}
    found["full"] = nats(trained, "test")
    write_card(out, card, found)
    size = (out / "weights.safetensors").stat().st_size
    print(f"{out}: {size:,} bytes, {found['test']:.4f} nats on test ({found['full']:.4f} before)")


if __name__ == "__main__":
    main()
