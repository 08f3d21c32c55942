"""What samplers share that make whole pieces at once."""
