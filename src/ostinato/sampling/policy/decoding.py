"""Settings of sampling tuned models: those of their base."""

from ostinato.sampling.autoregressive.decoding import TASKS, Decoding

__all__ = ["TASKS", "Decoding"]
