"""What learning from preferences changed: the guards of the kept weights, beside the frozen base.

Of clips that continue held-out prompts; docs/feedback.md defines each column. Systems that learn
from no preferences have none.
"""

import math

from ostinato.evaluation.measures.protocol import Context, Figure, Result

COLUMNS = {
    "utility": ("logits", "Gain in the known utility of simulated listeners"),
    "first": ("standard deviations", "Gain by the reward that was learned from"),
    "second": ("standard deviations", "Gain by the guarding reward"),
    "kl": ("nats a clip", "Divergence from the base"),
    "diversity": ("share", "Diversity, as a share of the base's"),
    "copied": ("share", "Notes in passages of the training set, more than the base's"),
    "nats_per_token": ("nats per token", "Likelihood of valid"),
}


def measure(context: Context) -> Result:
    """The row of the learning curve whose weights were kept."""
    best = str(context.card.get("best_step"))
    rows = [row for row in context.history if row["step"] == best and row.get("valid_kl")]
    base = dict(context.card.get("model", {}).get("base") or {})
    source = "; simulated preferences" if base.get("simulated") else ""
    if best == "0":
        source += "; the untuned base was kept: no step was better"
    figures = {}
    for name, (unit, label) in COLUMNS.items() if rows else ():
        if value := rows[0].get(f"valid_{name}"):
            bounds = (rows[0].get(f"valid_{name}_{end}") for end in ("low", "high"))
            low, high = (float(bound) if bound else math.nan for bound in bounds)
            figures[name] = Figure(float(value), low, high, unit=unit, label=label + source)
    return Result(
        figures,
        title="Learning from preferences",
        note="Of systems that were tuned by a study: gains over the frozen base on the same "
        "held-out prompts, with paired intervals. Where preferences are simulated, no person was "
        "asked.",
        order=89,
    )
