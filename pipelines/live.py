"""Verb: answer OSC messages with music, in clips of Ableton Live or on a MIDI port; weights=…
to=clip|reply|port; see docs/live.md.
"""

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

from ostinato.config import entry
from ostinato.files import PRETRAINED, model_made_by, require


@entry("live")
def main(config: dict[str, Any]) -> None:
    folder = Path(config["weights"] or Path(__file__).resolve().parents[1] / PRETRAINED)
    require(folder / "model.json", model_made_by(folder))
    if importlib.util.find_spec("pythonosc") is None:
        raise ValueError("python-osc is not installed; install it with: pip install ostinato[live]")
    import torch

    torch.set_num_threads(config["threads"])
    from ostinato.live.run import serve

    asyncio.run(serve(folder, config))


if __name__ == "__main__":
    main()
