"""The studio in Chromium: milliseconds from a click on Play to the first sound.

python -m benchmarks.studio --model models/gpt   writes results/studio.json; needs playwright
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.execution.commands import run_command

HERE = Path(__file__).parent
ROOT = HERE.parent
CLICKED = """document.getElementById("play").addEventListener("click",
    () => { window.clicked = performance.now(); heard.length = 0; }, true)"""


def clicks(url: str, count: int) -> dict[str, list[float]]:
    """Milliseconds of the first click after the page was loaded, and of later ones."""
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {"first click of a page": [], "later clicks": []}
    with sync_playwright() as play:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        while len(found["later clicks"]) < count:
            page = browser.new_context(bypass_csp=True).new_page()
            page.add_init_script(path=HERE / "first_sound.js")
            page.goto(url)
            page.wait_for_selector("body[data-ready]")
            page.fill("#bars", "4")
            page.click("#make")
            page.wait_for_function("studio.takes.length == 1")
            page.evaluate(CLICKED)
            for kind in ("first click of a page", *["later clicks"] * 9):
                time.sleep(1)
                page.wait_for_function("!('silent' in window) || silent > 60")  # notes have faded
                page.click("#play")
                page.wait_for_function("heard.length > 0")
                found[kind].append(page.evaluate("heard[0] - clicked"))
                page.click("#play")
            page.close()
        browser.close()
    return found


def main() -> None:
    """Parse the command line, run, write the results."""
    from benchmarks.measure import machine
    from ostinato.files import write_json

    parser = argparse.ArgumentParser(prog="python -m benchmarks.studio", description=__doc__)
    parser.add_argument("--model", default="pretrained/bach")
    parser.add_argument("--clicks", type=int, default=36)
    parser.add_argument("--port", type=int, default=8198)
    parser.add_argument("--note", default="", help="written beside the results")
    given = parser.parse_args()
    command = [sys.executable, str(ROOT / "pipelines" / "studio.py"), f"port={given.port}"]
    server = subprocess.Popen(
        [*command, f"weights={Path(given.model).resolve()}"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("studio:"), "the studio did not start"
        time.sleep(1)
        found = clicks(f"http://127.0.0.1:{given.port}/", given.clicks)
    finally:
        server.terminate()
        server.wait()
    rows: list[dict[str, Any]] = []
    for kind, values in found.items():
        median, p95, worst = (float(v) for v in np.percentile(values, [50, 95, 100]))
        rows.append({"part": kind, "n": len(values), "median": median, "p95": p95, "max": worst})
        print(
            f"{kind:<22} n {len(values):3d}  median {median:.0f} ms  p95 {p95:.0f}  max {worst:.0f}"
        )
    write_json(
        HERE / "results" / "studio.json",
        {"machine": machine(), "model": Path(given.model).name, "note": given.note, "rows": rows},
    )


if __name__ == "__main__":
    run_command(main)
