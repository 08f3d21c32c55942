"""Verb: make music by hand from a model folder: weights=<folder> bars=16 n=4 seed=1
prompt=some.mid.
"""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("generate")
def main(config: dict[str, Any]) -> None:
    from ostinato.audio.render import render
    from ostinato.generator import BEATS_PER_BAR, Generator, Request
    from ostinato.music.read import read_piece
    from ostinato.music.voices import with_voices
    from ostinato.music.write import write_midi
    from ostinato.sampling.settings import Decoding

    generator = Generator.load(Path(config["weights"]))
    decoding = Decoding(**{key: config[key] for key in ("temperature", "top_k", "top_p")})
    prompt = None
    if config["prompt"]:
        voices = generator.trained.card["codec"]["representation"].get("voices") or ()
        prompt = with_voices(read_piece(Path(config["prompt"])), voices)
    request = Request(
        task="continue" if prompt else "unconditional",
        bars=config["bars"],
        n=config["n"],
        seed=config["seed"],
        prompt=prompt,
        prompt_quarters=config["prompt_bars"] * BEATS_PER_BAR,
        decoding=decoding,
    )
    out = Path(config["out"])
    for sample in generator.generate(request):
        name = f"{sample.row['index']:03}"
        if sample.piece is None:
            print(f"{name} failed: {sample.row['failed']}")
            continue
        write_midi(out / f"{name}.mid", sample.piece)
        render(sample.piece, out, name)
        print(f"{out / name}.mid  .mp3  .png   {sample.row['nats']:.1f} nats")


if __name__ == "__main__":
    main()
