"""Settings of sampling tuned models: those of their base."""

from ostinato.sampling.autoregressive.decoding import TASKS, Decoding, tasks_on

__all__ = ["TASKS", "Decoding", "tasks_on"]
