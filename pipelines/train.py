"""Stage and verb: train one model into a folder of weights, model.json and its learning curve."""

import os
from pathlib import Path
from typing import Any

from ostinato.config import entry
from ostinato.files import write_json


@entry("train")
def main(config: dict[str, Any]) -> float | None:
    from ostinato.loading.tokens import open_tokens
    from ostinato.training.finished import finished
    from ostinato.training.settings import settings_of

    settings = settings_of(config)
    if config["system"] is None:
        print(f"encoding {settings.encoding} and seed {settings.seed}, as system {settings.system}")
    tokens, out = open_tokens(Path("data/tokens") / settings.encoding), Path(config["out"])
    card = finished(out, settings, tokens, overwrite=config["overwrite"])
    if card:
        print(f"{out} is finished; overwrite=true trains it again, out=… trains another")
    elif not (card := train(config, settings, tokens, out)):
        return None  # one of several processes; the first one reports
    write_json(Path(config["objective"]), {"objective": card["best_valid_loss"]})
    print(
        f"{out}: {card['parameters']:,} parameters, best {card['best_valid_loss']:.4f} "
        f"{card['loss_unit']} on valid at step {card['best_step']}"
    )
    return float(card["best_valid_loss"])


def train(config: dict[str, Any], settings: Any, tokens: Any, out: Path) -> dict[str, Any]:
    from ostinato import tracking
    from ostinato.training.checks import check

    check(settings, tokens, config["trainer"])
    from ostinato.training.fit import fit  # seconds, which a mistake should not wait for

    tags = {k: str(getattr(settings, k)) for k in ("system", "family", "size", "encoding", "seed")}
    data = (tokens.dataset, tokens.digest)
    card = fit(
        settings,
        tokens,
        out,
        trainer_options=config["trainer"],
        resume_root=Path(os.environ.get("DVC_ROOT", ".")) / ".cache" / "resume",
        track=lambda mark: tracking.training_run(
            settings.system, settings.plain(), tags | {"fingerprint": mark}, data, config
        ),
    )
    if card:
        stage = out.resolve() == (Path("models") / settings.system).resolve()
        tracking.model_run(out, settings.system if stage else "")
    return card


if __name__ == "__main__":
    main()
