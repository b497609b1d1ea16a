"""What is in images of development only."""
