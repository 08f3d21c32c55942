"""Model families by paradigm, the layers they share, and the registry that finds them."""
