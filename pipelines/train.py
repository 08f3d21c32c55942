"""Stage and verb: train one model into a folder of weights, model.json and its learning curve."""

import os
from pathlib import Path
from typing import Any

from ostinato.config import entry, entry_of


@entry("train")
def main(config: dict[str, Any]) -> float | None:
    from ostinato import tracking
    from ostinato.data.tokens import open_tokens
    from ostinato.execution.files import write_json
    from ostinato.training.fit import fit

    settings = settings_of(config)
    tokens = open_tokens(Path("data/tokens") / settings.encoding)
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
        ),
    )
    if not card:
        return None  # one of several processes; the first one reports
    write_json(Path(config["objective"]), {"objective": card["best_valid_nats"]})
    print(
        f"{out}: {card['parameters']:,} parameters, best {card['best_valid_nats']:.4f} nats "
        f"per token on valid at step {card['best_step']}"
    )
    return float(card["best_valid_nats"])


def settings_of(config: dict[str, Any]):  # type: ignore[no-untyped-def] # noqa: ANN201
    from ostinato.training.settings import (
        OptimizerSettings,
        Settings,
        TrainingSettings,
        section,
    )

    family, size = config["choices"]["model"].split("/")
    systems = config["systems"]
    system = config["system"]
    if system is None:
        system = next((name for name, item in systems.items() if item["family"] == family), None)
        if system is None:
            raise ValueError(
                f"params.yaml has no system of family {family}; give encoding=… and add one"
            )
        print(f"taking encoding and seed of system {system}")
    item = entry_of(systems, system, "system")
    return Settings(
        system=system,
        family=family,
        size=size,
        encoding=config["encoding"] or item["encoding"],
        seed=item["seed"] if config["seed"] is None else config["seed"],
        model=config["model"],
        optimizer=section(OptimizerSettings, "optimizer", config["optimizer"]),
        training=section(TrainingSettings, "training", config["training"]),
    )


if __name__ == "__main__":
    main()
