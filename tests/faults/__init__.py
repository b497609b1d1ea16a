"""Whatever dies, every accepted order ends right: real processes are killed under load, and the books audited."""
