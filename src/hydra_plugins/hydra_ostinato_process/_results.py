"""Results of a sweep, best first: a table for the terminal and a CSV file."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from hydra_plugins.hydra_ostinato_process._jobs import Job


def ranked(jobs: Sequence[Job]) -> list[Job]:
    """The lowest objective first, then jobs without one, each group by number."""
    return sorted(jobs, key=lambda job: (job.value() is None, job.value() or 0.0, job.number))


def table(jobs: Sequence[Job]) -> str:
    """A table of objective, job, status and the overrides in which the jobs differ."""
    rows = [("objective", "job", "status", "overrides")]
    for job in ranked(jobs):
        value = "-" if job.objective is None else f"{job.objective:.6g}"
        rows.append((value, f"#{job.number}", job.status, differing(job, jobs)))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join([*(row[i].rjust(widths[i]) for i in range(3)), row[3]]) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def differing(job: Job, jobs: Sequence[Job]) -> str:
    """The overrides of a job that not all jobs share."""
    common = set.intersection(*(set(one.overrides) for one in jobs)) if len(jobs) > 1 else set()
    return " ".join(text for text in job.overrides if text not in common)


def write_results(path: Path, jobs: Sequence[Job]) -> None:
    """Write one row for each job, best first, with a column for each overridden key."""
    from ostinato.files import write_text

    settings = [dict(text.split("=", 1) for text in job.overrides if "=" in text) for job in jobs]
    keys = list(dict.fromkeys(key for row in settings for key in row))
    of_job = dict(zip((job.number for job in jobs), settings, strict=True))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["job", "objective", "status", *keys])
    for job in ranked(jobs):
        value = "" if job.objective is None else repr(job.objective)
        row = [of_job[job.number].get(key, "") for key in keys]
        writer.writerow([job.number, value, job.status, *row])
    write_text(path, buffer.getvalue())
