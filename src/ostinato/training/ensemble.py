"""What ensembles learn: the next token of the stream of roles and bars, mean nats."""

from ostinato.training.autoregressive import Data, Module

__all__ = ["Data", "Module"]
