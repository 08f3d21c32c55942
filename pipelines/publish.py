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
        if report.run:
            print(
                f"{report.system}: run {report.run}, {report.rows} rows of the curve, "
                f"{report.artifacts} samples, {report.metrics} metrics"
            )
        else:
            print(f"{report.system}: not published")
        for part in report.missing:
            path, command = part.split(": ", 1)
            pulled = "" if path.startswith("renders/") else "fetch it with: dvc pull, or "
            print(f"  no {path}; {pulled}make it with: {command}")
    if not any(report.run for report in reports):
        raise ValueError("nothing was published; see above")
    if config["port"] is None:
        print("look at them with: python pipelines/publish.py port=5000, or make ui")
    else:
        tracking.serve(store, config["port"])


if __name__ == "__main__":
    main()
