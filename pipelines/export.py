"""Verb: write a corpus as MusPy JSON, MIDI or MusicXML files, one folder for each split."""

from pathlib import Path
from typing import Any

from ostinato.config import entry


@entry("export")
def main(config: dict[str, Any]) -> None:
    from ostinato.corpus.export import export_corpus

    name, written_as = config["choices"]["dataset"], str(config["format"])
    out = Path(config["out"] or f"exports/{name}/{written_as}")
    manifest = export_corpus(Path("data/corpus") / name, out, written_as)
    print(f"licence: {manifest['licence']}")
    pieces = ", ".join(f"{split} {number}" for split, number in sorted(manifest["pieces"].items()))
    print(f"{out}: {pieces}")
    for what, lost in sorted(manifest["unsaid"].items()):
        print(f"  not in the files: {what} ({lost['items']} in {lost['pieces']} pieces)")
    for piece, reason in list(manifest["set_aside"].items())[:3]:
        print(f"  set aside: {piece}: {reason}")
    if manifest["set_aside"]:
        print(f"  set aside: {len(manifest['set_aside'])} in all, see {out / 'manifest.json'}")


if __name__ == "__main__":
    main()
