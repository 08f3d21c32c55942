"""What variational families share."""
