"""What event streams are made of: vocabulary, quantization, writing, grammar, clock."""
