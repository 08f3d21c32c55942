"""Command: blind listening tests of conf/listening: serve, simulate, analyse."""

from pathlib import Path
from typing import Any

from ostinato.config import entry

MODES = ("plan", "serve", "simulate", "analyse", "export", "upgrade")


@entry("listen")
def main(config: dict[str, Any]) -> None:
    if config["mode"] not in MODES:
        raise ValueError(f"mode={config['mode']} must be one of {', '.join(MODES)}")
    from ostinato.listening import commands

    found = getattr(commands, config["mode"])(config, Path())
    if config["mode"] == "analyse":
        publish(found)


def publish(found: Any) -> None:
    """Write results into an MLflow run beside those of the models."""
    from ostinato import tracking

    name = f"listening {found.study}" + (" (simulated)" if found.answers == "simulated" else "")
    run = tracking.tagged_run(name, "listening", f"{found.digest}-{found.answers}")
    run.tag("answers", found.answers)
    run.set_metrics(found.metrics)
    run.artifacts(found.folder, "listening")
    run.close("FINISHED")


if __name__ == "__main__":
    main()
