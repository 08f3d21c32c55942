"""What families of latent diffusion share."""
