"""Verb: make music by hand from a model folder: weights=<folder> bars=16 n=4 seed=1, with
prompt=some.mid going on from it, or with infill.bars=[4,8] infill.voices=[alto] filling it.
"""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("generate")
def main(config: dict[str, Any]) -> None:
    from ostinato.audio.render import render
    from ostinato.generator import BEATS_PER_BAR, Generator, Request
    from ostinato.music.voices import with_voices
    from ostinato.music.write import write_midi
    from ostinato.readers.read import read_piece
    from ostinato.sampling.autoregressive.decoding import Decoding

    generator = Generator.load(Path(config["weights"]), config["device"])
    gap, prompt = config["infill"], None
    if config["prompt"]:
        voices = generator.trained.card["codec"]["representation"].get("voices") or ()
        prompt = with_voices(read_piece(Path(config["prompt"])), voices)
    fills = gap["bars"] is not None or bool(gap["voices"])
    request = Request(
        task="infill" if fills else "continue" if prompt else "unconditional",
        bars=config["bars"],
        n=config["n"],
        seed=config["seed"],
        prompt=prompt,
        prompt_quarters=config["prompt_bars"] * BEATS_PER_BAR,
        infill_bars=None if gap["bars"] is None else tuple(gap["bars"]),
        infill_voices=tuple(gap["voices"]),
        particles=gap["particles"] if fills else Request.particles,
        decoding=Decoding.of(config),
    )
    out = Path(config["out"])
    for sample in generator.generate(request):
        name = f"{sample.row['index']:03}"
        if sample.piece is None:
            print(f"{name} failed: {sample.row['failed']}")
            continue
        write_midi(out / f"{name}.mid", sample.piece)
        made = ".mid (rests alone)"
        if len(sample.piece.notes):
            render(sample.piece, out, name)
            made = ".mid  .mp3  .png"
        print(f"{out / name}{made}   {sample.row['nats']:.1f} nats")


if __name__ == "__main__":
    main()
