"""Arrays on disk to batches for training. Reads npy, npz and json alone."""
