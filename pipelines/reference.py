"""Stage: compute what measures need of an encoding's real music, once for all of its systems."""

from pathlib import Path
from typing import Any

from ostinato.config import entry, entry_of


@entry("reference")
def main(config: dict[str, Any]) -> None:
    name = config["encoding"]
    item = entry_of(config["encodings"], name, "encoding")
    import scipy.linalg  # noqa: F401 - loads the BLAS whose threads are limited below
    from threadpoolctl import threadpool_limits

    from ostinato.arithmetic import use_threads
    from ostinato.evaluation.excerpts import EvaluationSettings
    from ostinato.evaluation.reference import write_reference
    from ostinato.loading.tokens import open_tokens
    from ostinato.music.recording import Recording
    from ostinato.settings import checked

    use_threads(1)
    threadpool_limits(1, user_api="blas")  # sums in one order, whatever the number of processors
    settings = checked(EvaluationSettings, "evaluation", config["evaluation"])
    music = write_reference(
        Path("data/reference") / name,
        Path("data/corpus") / item["dataset"],
        open_tokens(Path("data/tokens") / name),
        settings,
        bars=config["sampling"]["bars"],
    )
    sounds = isinstance(next(iter(music.held_out), None), Recording)
    unit = "seconds" if sounds else "quarters"
    print(
        f"{name}: samples are compared with {len(music.held_out)} held-out and {len(music.train)} "
        f"training excerpts of {music.quarters} {unit}; "
        f"{len(music.held_out_whole) - len(music.held_out)} held-out pieces are shorter"
    )


if __name__ == "__main__":
    main()
