"""The learning curve: training and validation loss by optimizer step."""

import numpy as np

from ostinato.evaluation.measures.protocol import Context, Figure, Result

KINDS = ("tokens", "roll", "mel")
CURVES = {"training": "train_loss", "validation": "valid_loss"}


def measure(context: Context) -> Result:
    """The curve, and the step of the weights that were kept."""
    rows = context.history
    curves = dict(CURVES)
    if rows and "valid_kl" in rows[0]:  # of preferences: losses of other units, of any sign
        curves = {"validation": "valid_nats_per_token"}
    series = {
        name: np.array([[float(row["step"]), float(row[key])] for row in rows if row.get(key)])
        for name, key in curves.items()
    }
    best = context.card.get("best_step")
    values = {} if best is None else {"best_step": Figure(float(best), label="Best step")}
    return Result(
        values,
        view="curve",
        series={name: points.reshape(-1, 2) for name, points in series.items()},
        title="Learning",
        note=f"Loss by optimizer step ({context.card.get('loss_unit', 'nats per token')}), on a "
        "logarithmic axis: solid for validation, dashed for training.",
        order=90,
    )
