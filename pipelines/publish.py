"""Command: fill the MLflow store from the pipeline's outputs, for example after `dvc pull`."""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("publish")
def main(config: dict[str, Any]) -> None:
    from ostinato import tracking

    if config["port"] is not None:
        tracking.check_port(config["port"])  # before minutes of publishing
    store = tracking.open_store()
    if store is None:
        raise ValueError("OSTINATO_TRACKING=off: nothing can be published; unset it")
    root = Path.cwd()
    reports = [tracking.publish_system(root, system) for system in config["systems"]]
    for report in reports:
        if not report.run:
            continue
        print(
            f"{report.system}: run {report.run}, {report.rows} rows of the curve, "
            f"{report.artifacts} samples, {report.metrics} metrics"
        )
        for part in report.missing:
            path, command = part.split(": ", 1)
            pulled = "" if path.startswith("renders/") else "fetch it with: dvc pull, or "
            print(f"  no {path}; {pulled}make it with: {command}")
    absent = [report.system for report in reports if not report.run]
    if absent:
        print(
            f"not published, without a folder in models/: {', '.join(absent)}; fetch them with: "
            "dvc pull, or make them with: make repro, or only their models with: dvc repro "
            + " ".join(f"train@{system}" for system in absent)
        )
    if len(absent) == len(reports) and config["port"] is None:
        raise ValueError("nothing was published; make quick builds a first system")
    if config["port"] is None:
        print("look at them with: python pipelines/publish.py port=5000, or make ui")
    else:
        tracking.serve(store, config["port"])


if __name__ == "__main__":
    main()
