"""Stage and verb: train one model into a folder of weights, model.json and its learning curve."""

import os
from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("train")
def main(config: dict[str, Any]) -> float | None:
    from ostinato import tracking
    from ostinato.files import write_json
    from ostinato.loading.tokens import open_tokens
    from ostinato.training.settings import settings_of

    settings = settings_of(config)
    if config["system"] is None:
        print(f"encoding {settings.encoding} and seed {settings.seed}, as system {settings.system}")
    tokens = open_tokens(Path("data/tokens") / settings.encoding)
    from ostinato.training.checks import check

    check(settings, tokens, config["trainer"])
    from ostinato.training.fit import fit  # seconds, which a mistake should not wait for

    out = Path(config["out"])
    root = Path(os.environ.get("DVC_ROOT", "."))
    tags = {
        key: str(getattr(settings, key)) for key in ("system", "family", "size", "encoding", "seed")
    }
    card = fit(
        settings,
        tokens,
        out,
        trainer_options=config["trainer"],
        resume_root=root / ".cache" / "resume",
        track=lambda mark: tracking.training_run(
            settings.system,
            settings.plain(),
            tags | {"fingerprint": mark},
            (tokens.dataset, tokens.digest),
            config,
        ),
    )
    if not card:
        return None  # one of several processes; the first one reports
    stage = out.resolve() == (Path("models") / settings.system).resolve()
    tracking.model_run(out, settings.system if stage else "")
    write_json(Path(config["objective"]), {"objective": card["best_valid_loss"]})
    print(
        f"{out}: {card['parameters']:,} parameters, best {card['best_valid_loss']:.4f} "
        f"{card['loss_unit']} on valid at step {card['best_step']}"
    )
    return float(card["best_valid_loss"])


if __name__ == "__main__":
    main()
