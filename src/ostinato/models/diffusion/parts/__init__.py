"""What families of Gaussian diffusion share: noise, what a network predicts, how it sees the noise.

The paradigm's training module and sampler know no family. `Model` of a family here has, besides
(config, spec):

- `loss(batch) -> Tensor`: the sum of the losses of a batch of `training/diffusion.py`, drawn from
  torch's generator.
- `validate(batch) -> dict[str, Tensor]`: `nats` and `target` of a validation batch, as
  `metrics.likelihood_metrics` takes them; always the same numbers for the same weights.
- `log_snrs_S`: the noise levels of its steps, the least noisy first (`noise.log_snrs`).
- `spec.kind` decides which batches it is trained on (`training/diffusion.py`) and what samples it
  (`sampling/diffusion/sampler.py`): `tokens` are grids as rolls, `mel` are spectrograms.

A noise level is a log signal-to-noise ratio, λ = log(α² / σ²) with α² + σ² = 1, one for each piece.
"""
