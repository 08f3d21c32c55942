"""Command: blind listening tests of conf/listening: serve, simulate, analyse."""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("listen")
def main(config: dict[str, Any]) -> None:
    from ostinato.listening import commands

    modes = {
        "plan": commands.plan,
        "serve": commands.serve,
        "export": commands.export,
        "upgrade": commands.upgrade,
    }
    if config["mode"] not in modes:
        raise ValueError(f"mode={config['mode']} must be one of {', '.join(modes)}")
    modes[config["mode"]](config, Path())


if __name__ == "__main__":
    main()
