"""What the system bears, measured on the real thing; nothing imports this."""
