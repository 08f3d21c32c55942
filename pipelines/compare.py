"""Stage: set all systems of params.yaml side by side in report/: a page, CSV and LaTeX."""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("compare")
def main(config: dict[str, Any]) -> None:
    from ostinato import tracking
    from ostinato.files import write_text
    from ostinato.report.leaderboard import leaderboard_csv, leaderboard_tex, text_table
    from ostinato.report.load import load
    from ostinato.report.page import build_page, listen_page

    report = load(config["systems"], Path(), evaluation=config["evaluation"])
    for system in report.systems:
        page = Path("renders") / system.name / "listen.html"
        write_text(page, listen_page(system.samples, system.name))
        tracking.system_run(Path(), system.name).artifact(page, "samples")
    write_text(Path("report/index.html"), build_page(report))
    write_text(Path("report/leaderboard.csv"), leaderboard_csv(report))
    write_text(Path("report/leaderboard.tex"), leaderboard_tex(report))
    print(text_table(report))
    print("open report/index.html")


if __name__ == "__main__":
    main()
