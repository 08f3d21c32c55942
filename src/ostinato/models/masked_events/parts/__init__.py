"""What families of masked events share."""
