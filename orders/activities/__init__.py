"""What the workflows have done for them: thin classes, their partners passed to the constructor."""
