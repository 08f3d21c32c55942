"""Families with latent variables: an encoder, a prior and a decoder."""
