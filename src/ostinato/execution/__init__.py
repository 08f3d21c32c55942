"""Running work: guarded processes, workers, stages, rebuilds. Independent of music."""
