"""A script that runs with denormal numbers set to zero."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
import torch
import beside

print(sys.argv[1:], Path(sys.argv[0]).name, beside.NAME, float(torch.tensor(1e-40) * 2) == 0)
"""


@pytest.mark.starts
def test_the_script_gets_its_arguments_and_folder_and_no_denormal_numbers(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "beside.py").write_text("NAME = 'beside'")
    command = ["-m", "ostinato.training.flushed", str(tmp_path / "script.py"), "a=1", "b"]

    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "['a=1', 'b'] script.py beside True"
