"""``python tests/translation.py TEMPLATE`` prints what AWS makes of a SAM template, which is CloudFormation's, as JSON.

The parameters come from standard input, as JSON. It runs in the environment of ``requirements/sam.txt``, by the package
that AWS itself uses, and knows nothing of the project.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoPolicies:
    """Stands for the managed policies of IAM, which only an account can list; the template names none."""

    def load(self) -> dict[str, str]:
        """Give none."""
        return {}


def main() -> None:
    """Print it."""
    logging.disable(logging.WARNING)
    template = yaml_parse(Path(sys.argv[1]).read_text())
    # `sam` uploads the zip first.
    template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/function.zip"
    json.dump(transform(template, json.load(sys.stdin), NoPolicies()), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
