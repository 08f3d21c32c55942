"""Where music comes from: sources, their licences, verified copies with a manifest."""
