"""What cannot be asked of a tuned model together: as of its base."""

from ostinato.sampling.autoregressive.asked import check_request

__all__ = ["check_request"]
