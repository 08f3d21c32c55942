"""Runs a script with numbers that are too small for single precision set to zero.

`python -m ostinato.training.flushed pipelines/train.py …`. Processors calculate with such numbers
many times as slowly; a training that makes them often can take four times as long without this.
"""

import runpy
import sys
from pathlib import Path

from ostinato.execution.commands import run_command


def main() -> None:
    """Run the script that the first argument names, with the others."""
    import torch

    torch.set_flush_denormal(True)
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    run_command(main)
