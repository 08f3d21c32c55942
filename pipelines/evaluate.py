"""Stage: measure one system with every file of evaluation/measures/."""

from pathlib import Path
from typing import Any

from ostinato.config import entry, entry_of


@entry("evaluate")
def main(config: dict[str, Any]) -> None:
    system = config["system"]
    item = entry_of(config["systems"], system, "system")
    import scipy.linalg  # noqa: F401 - loads the BLAS whose threads are limited below
    from threadpoolctl import threadpool_limits

    from ostinato import tracking
    from ostinato.arithmetic import use_threads
    from ostinato.evaluation.excerpts import EvaluationSettings
    from ostinato.evaluation.registry import scorer_of
    from ostinato.evaluation.system import read_samples, run_measures
    from ostinato.evaluation.written import write_results
    from ostinato.loading.tokens import open_tokens
    from ostinato.sampling.load import check_trained_on, load_trained
    from ostinato.settings import checked

    model, out = Path("models") / system, Path("evaluation") / system
    trained = load_trained(model, family=item["family"])
    use_threads(trained.card["training"]["threads"])
    threadpool_limits(1, user_api="blas")  # sums in one order, whatever the number of processors
    tokens = open_tokens(Path("data/tokens") / item["encoding"])
    check_trained_on(trained, tokens)
    samples = read_samples(Path("samples") / system, trained.representation)
    scorer = scorer_of(trained.model, item["family"])
    results, context = run_measures(
        samples,
        trained,
        scorer,
        tokens,
        model=model,
        reference=Path("data/reference") / item["encoding"],
        settings=checked(EvaluationSettings, "evaluation", config["evaluation"]),
    )
    rows = [row for row, _ in samples]
    write_results(out, results, context, rows, model)
    tracking.log_evaluation(tracking.system_run(Path(), system), out)
    if scorer is None:
        print(f"{system}: models of family {item['family']} have no likelihood")
    for measure, result in results.items():
        for name, figure in result.values.items():
            if figure.is_headline:
                print(f"{system} {measure}/{name}: {figure}")


if __name__ == "__main__":
    main()
