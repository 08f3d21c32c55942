"""Stage: set all systems of params.yaml side by side in report/index.html and leaderboard.csv."""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("compare")
def main(config: dict[str, Any]) -> None:
    from ostinato import tracking
    from ostinato.files import write_text
    from ostinato.report.leaderboard import leaderboard_csv, text_table
    from ostinato.report.load import load
    from ostinato.report.page import build_page, listen_page

    report = load(config["systems"], Path(), datasets=notes(config["systems"]))
    for system in report.systems:
        page = Path("renders") / system.name / "listen.html"
        write_text(page, listen_page(system.samples, system.name))
        tracking.system_run(Path(), system.name).artifact(page, "samples")
    write_text(Path("report/index.html"), build_page(report))
    write_text(Path("report/leaderboard.csv"), leaderboard_csv(report))
    print(text_table(report))
    print("open report/index.html")


def notes(systems: dict[str, Any]) -> dict[str, Any]:
    """What the evaluations say of each dataset's licence, citation and splits."""
    from ostinato.files import read_json
    from ostinato.report.data import DatasetNote

    found = {}
    for name in systems:
        path = Path("evaluation") / name / "details.json"
        metrics = read_json(path, expect_format=1, made_by=f"dvc repro evaluate@{name}")
        origin = metrics["origin"]
        found[metrics["dataset"]] = DatasetNote(
            licence=origin["licence"], citation=origin["citation"], splits=origin["pieces"]
        )
    return found


if __name__ == "__main__":
    main()
