"""What needs a model or a whole system: likelihoods, baselines, the metrics of one system."""
