"""What families of ensembles are made of."""
