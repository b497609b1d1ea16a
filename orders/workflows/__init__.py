"""The lifecycle itself: deterministic code that asks neither clock, settings nor network."""
