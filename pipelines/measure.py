"""Verb: measure a folder of music that was made elsewhere beside real music, as `evaluate` does."""

from pathlib import Path
from typing import Any

from ostinato.config import entry, entry_of


@entry("measure")
def main(config: dict[str, Any]) -> None:
    name = str(config["encoding"] or next(iter(config["encodings"])))
    if entry_of(config["encodings"], name, "encoding")["form"] == "mel":
        raise ValueError(f"encoding {name} is one of sound: take an encoding of notes")
    folder = Path(str(config["folder"])).expanduser()
    out = Path(config["out"] or f"measured/{folder.resolve().name}")
    import scipy.linalg  # noqa: F401 - loads the BLAS whose threads are limited below
    import torch
    from threadpoolctl import threadpool_limits

    from ostinato.evaluation import elsewhere
    from ostinato.evaluation.excerpts import EvaluationSettings
    from ostinato.loading.tokens import open_tokens
    from ostinato.representations.registry import build
    from ostinato.settings import checked

    elsewhere.check_out(out, folder)
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")  # sums in one order, whatever the number of processors
    tokens = open_tokens(Path("data/tokens") / name)
    music = elsewhere.read_music(folder, build(tokens.codec["representation"]))
    for file, reason in list(music.aside.items())[:3]:
        print(f"set aside: {file}: {reason}", flush=True)
    settings = checked(EvaluationSettings, "evaluation", config["evaluation"])
    results, context = elsewhere.measure_music(
        music, tokens, Path("data/reference") / name, settings
    )
    found = elsewhere.write_music(out, music, results, context)
    print(elsewhere.as_line(found))
    print("\n".join(elsewhere.table(results)))
    print(f"all of it: {out}/measures.json, and by piece {out}/pieces.csv")


if __name__ == "__main__":
    main()
