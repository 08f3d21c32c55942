"""Verb: how often a chorale says what it said before, and goes on as it did: python repeats.py."""

from pathlib import Path

from ostinato.loading.tokens import open_tokens

LENGTH = 16  # sixteenths: a bar of 4/4

if __name__ == "__main__":
    tokens = open_tokens(Path("data/tokens/jsb-grid"))
    for name, split in tokens.splits.items():
        steps = heard = as_before = 0
        for number in range(len(split)):
            piece = split.tokens_of(number)
            last: dict[bytes, int] = {}  # where a passage went on
            for step in range(LENGTH, len(piece)):
                passage = piece[step - LENGTH : step].tobytes()
                if passage in last:
                    heard += 1
                    as_before += bool((piece[last[passage]] == piece[step]).all())
                last[passage] = step
            steps += len(piece)
        print(  # noqa: T201
            f"{name}: {100 * heard / steps:.1f} % of {steps:,} steps follow {LENGTH} steps that "
            f"were there before; {100 * as_before / max(heard, 1):.1f} % of these are as then"
        )
