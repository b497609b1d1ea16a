"""``python -m tests.parts NAME`` prints where the tests of one part stand: what ``make test ONLY=NAME`` runs."""

from __future__ import annotations

import sys

PARTS = {
    "unit": "tests/unit",
    "workflows": "tests/workflows",
    "replay": "tests/replay",
    "activities": "tests/integration/test_activities.py tests/integration/test_simulated_partners.py",
    "database": "tests/integration/test_ledger.py tests/integration/test_stock.py tests/integration/test_migrations.py "
    "tests/integration/test_encryption.py",
    "integration": "tests/integration",
    "api": "tests/api",
    "deploy": "tests/deploy",
    "faults": "tests/faults",
    "function": "tests/function",
    "images": "tests/images",
    "stack": "tests/stack",
}


def main() -> int:
    """Print the paths of the parts that are named."""
    unknown = [name for name in sys.argv[1:] if name not in PARTS]
    if unknown:
        print(f"ONLY={unknown[0]}: choose from {', '.join(PARTS)}", file=sys.stderr)
        return 1
    print(*(PARTS[name] for name in sys.argv[1:]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
