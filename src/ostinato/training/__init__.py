"""Training under Lightning: one module per learning problem, resume, export."""
