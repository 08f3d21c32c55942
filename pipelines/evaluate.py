"""Stage: measure one system with every file of evaluation/measures/."""

from pathlib import Path
from typing import Any

from ostinato.config import entry, entry_of


@entry("evaluate")
def main(config: dict[str, Any]) -> None:
    system = config["system"]
    item = entry_of(config["systems"], system, "system")
    import torch

    from ostinato import tracking
    from ostinato.evaluation.compared import piece_rows, read_samples, run_measures
    from ostinato.evaluation.excerpts import EvaluationSettings
    from ostinato.evaluation.registry import scorer_of
    from ostinato.evaluation.system import evaluate_system, write_csv
    from ostinato.evaluation.written import write_results
    from ostinato.loading.tokens import open_tokens
    from ostinato.sampling.load import check_trained_on, load_trained
    from ostinato.settings import checked

    trained = load_trained(Path("models") / system, family=item["family"])
    torch.set_num_threads(trained.card["training"]["threads"])
    tokens = open_tokens(Path("data/tokens") / item["encoding"])
    check_trained_on(trained, tokens)
    settings = checked(EvaluationSettings, "evaluation", config["evaluation"])
    out = Path("evaluation") / system
    scorer = scorer_of(trained.model, item["family"])
    metrics = evaluate_system(out, trained, scorer, tokens, Path("samples") / system, settings)
    results, context = run_measures(
        read_samples(Path("samples") / system),
        scorer,
        tokens,
        trained.representation,
        model=Path("models") / system,
        reference=Path("data/reference") / item["encoding"],
        settings=settings,
    )
    metrics["measures"] = {name: found.plain() for name, found in results.items()}
    write_csv(out / "pieces.csv", piece_rows(results, context))
    write_results(out, metrics, Path("models") / system)
    tracking.log_evaluation(tracking.system_run(Path(), system), out)
    if scorer is None:
        print(f"{system}: models of family {item['family']} have no likelihood")
    for split, units in metrics["likelihood"].items():
        nats = units["nats_per_token"]
        at_most = "at most " if metrics["likelihood_kind"] == "bound" else ""
        print(
            f"{system} {split}: {at_most}{nats['value']:.4f} nats per token [{nats['low']:.4f}, "
            f"{nats['high']:.4f}], {units['bits_per_quarter']['value']:.3f} bits per quarter"
        )


if __name__ == "__main__":
    main()
