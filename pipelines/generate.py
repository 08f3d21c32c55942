"""Verb: make music by hand, from the pretrained model or weights=<folder>; bars=16 n=4 seed=1;
prompt=some.mid continues a piece, with infill.bars=[4,8] infill.voices=[alto] it fills a part.
"""

from pathlib import Path
from typing import Any

from ostinato.config import entry
from ostinato.files import PRETRAINED, model_made_by, require


@entry("generate")
def main(config: dict[str, Any]) -> None:
    folder = Path(config["weights"] or Path(__file__).resolve().parents[1] / PRETRAINED)
    require(folder / "model.json", model_made_by(folder))
    from ostinato.audio.render import render
    from ostinato.generator import Generator
    from ostinato.music.voices import with_voices
    from ostinato.music.write import write_midi
    from ostinato.readers.read import read_piece
    from ostinato.sampling.request import Continue, Fill, Region, Request, Task, Unconditional

    generator = Generator.load(folder, config["device"])
    able, gap = generator.capabilities(), config["infill"]
    task: Task = Unconditional()
    fills = gap["bars"] is not None or bool(gap["voices"])
    if config["prompt"]:
        prompt = with_voices(read_piece(Path(config["prompt"])), able.roles)
        bars = None if gap["bars"] is None else tuple(gap["bars"])
        task = Continue(prompt, config["prompt_bars"])
        task = Fill(prompt, Region(bars, tuple(gap["voices"]))) if fills else task
    elif fills:
        raise ValueError("infill.bars and infill.voices name a part of a piece: give prompt=<file>")
    shared = {key: config[key] for key in able.options if key in config}
    particles = {"particles": gap["particles"]} if fills and "particles" in able.options else {}
    given = {key: config[key] for key in ("bars", "min_bars", "n", "seed", "conditions")}
    request = Request(task=task, options=shared | particles | config["options"], **given)
    out = Path(config["out"])
    for sample in generator.generate(request):
        name = f"{sample.row['index']:03}"
        if sample.piece is None:
            print(f"{name} failed: {sample.row['failed']}")
            continue
        write_midi(out / f"{name}.mid", sample.piece)
        written = ".mid (rests alone)"
        if len(sample.piece.notes):
            render(sample.piece, out, name)
            written = ".mid  .mp3  .png"
        nats = sample.row["nats"]
        print(f"{out / name}{written}   {'' if nats is None else f'{nats:.1f} nats'}".rstrip())


if __name__ == "__main__":
    main()
