"""Stage: clips of a base system, preferences about them, and reward models of the preferences."""

from pathlib import Path
from typing import Any

from ostinato.config import entry, entry_of


@entry("feedback")
def main(config: dict[str, Any]) -> None:
    name = config["study"]
    item = entry_of(config["studies"], name, "study")
    import scipy.linalg  # noqa: F401 - loads the BLAS whose threads are limited below
    from threadpoolctl import threadpool_limits

    from ostinato.arithmetic import use_threads
    from ostinato.feedback.settings import study_settings
    from ostinato.feedback.write import write_study
    from ostinato.loading.tokens import open_tokens
    from ostinato.sampling.load import check_trained_on, load_trained

    settings = study_settings(config["feedback"])
    trained = load_trained(Path("models") / item["base"], family=item["family"])
    use_threads(trained.card["training"]["threads"])
    threadpool_limits(1, user_api="blas")  # sums in one order, whatever the number of processors
    tokens = open_tokens(Path("data/tokens") / item["encoding"])
    check_trained_on(trained, tokens)
    out = Path("data/feedback") / name
    card = write_study(out, trained, tokens, settings)
    people = f"{card['listeners']} {'simulated ' if card['simulated'] else ''}listeners"
    print(f"{out}: {card['pairs']} preferences of {people} about {card['clips']} clips")
    if card["reward"]["learned"]:
        for which in ("first", "second"):
            held_out = card["reward"][which]["held_out"]["accuracy"]
            low, high = held_out["low"], held_out["high"]
            print(f"  {which} reward: {held_out['value']:.3f} [{low:.3f}, {high:.3f}] held out")
        for which, accuracy in card["reward"]["trivial"].items():
            print(f"  by {which} alone: {accuracy['value']:.3f}")


if __name__ == "__main__":
    main()
