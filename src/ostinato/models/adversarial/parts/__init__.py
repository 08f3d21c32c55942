"""What adversarial families share: voices' rolls, binary neurons, generator, critic, penalty."""
