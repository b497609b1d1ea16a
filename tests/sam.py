"""``python -m tests.sam`` (``make lambda-check``) checks the templates of the function as AWS reads them.

cfn-lint looks at the templates, and at what aws-sam-translator makes of them with the parameters of each environment,
of which some things are asked for here. Neither asks anybody on the network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.fetched import Missing
from infra.kind import ROOT
from infra.lambda_deploy import TEMPLATES, environments
from tests.environments import python_of

TRANSLATION = ROOT / "tests" / "translation.py"
SETTLED = ("W2001", "W3002")
"""What cfn-lint says of a translation: SAM has used up a parameter, and `sam` has still to upload what is included."""
LIVE = {"Ref": "FunctionAliaslive"}


def translated(python: str, parameters: dict[str, str]) -> dict[str, Any]:
    """Give what AWS makes of the template.

    Raises:
        subprocess.CalledProcessError: it can't be translated; the last line of ``stderr`` says why.
    """
    command = [python, str(TRANSLATION), str(TEMPLATES / "template.yaml")]
    # boto3 wants to know a region, of which it asks nothing.
    variables = os.environ | {"AWS_DEFAULT_REGION": "us-east-1"}
    given = json.dumps(parameters)
    done = subprocess.run(command, input=given, env=variables, capture_output=True, text=True, check=True)
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def objections(made: dict[str, Any]) -> Iterator[str]:
    """Say what of a translated template is not as it has to be."""
    resources = made["Resources"]
    kinds = {each["Type"]: each for each in resources.values()}
    alias, group = kinds.get("AWS::Lambda::Alias", {}), kinds.get("AWS::CodeDeploy::DeploymentGroup", {})
    if "CodeDeployLambdaAliasUpdate" not in alias.get("UpdatePolicy", {}):
        yield "a new version gets all requests at once: the alias is not moved by CodeDeploy"
    if resources["Gateway"]["Properties"]["Parameters"]["AliasArn"] != LIVE:
        yield "the gateway does not call the alias"
    watched = group.get("Properties", {})
    if not (watched.get("AlarmConfiguration", {}).get("Alarms") and watched["AlarmConfiguration"]["Enabled"]):
        yield "no alarm stops a deployment"
    if "DEPLOYMENT_STOP_ON_ALARM" not in watched.get("AutoRollbackConfiguration", {}).get("Events", ()):
        yield "a deployment that an alarm has stopped does not go back"
    roles = {name for name, each in resources.items() if each["Type"] == "AWS::IAM::Role"}
    if roles != {"Role", "CodeDeployServiceRole"}:
        yield f"SAM has made roles by itself: {', '.join(sorted(roles - {'Role', 'CodeDeployServiceRole'}))}"
    function = kinds["AWS::Lambda::Function"]["Properties"]
    yield from (f"the function has no {name}" for name in ("VpcConfig", "LoggingConfig") if name not in function)


def _lint(python: str, folder: Path, *arguments: str) -> bool:
    command = [python, "-c", "import sys, cfnlint.runner; sys.exit(cfnlint.runner.main())", *arguments]
    return subprocess.run(command, cwd=folder, check=False).returncode == 0


def main() -> int:
    """Check, and return 0 if there is nothing to object."""
    try:
        python = python_of("sam")
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    is_good = _lint(python, TEMPLATES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in (*TEMPLATES.glob("*.yaml"), TEMPLATES / ".cfnlintrc"):
            shutil.copy(path, folder)
        for environment, parameters in environments().items():
            try:
                made = translated(python, parameters)
            except subprocess.CalledProcessError as error:
                print(f"{environment}: {error.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                return 1
            (folder / f"{environment}.json").write_text(json.dumps(made))
            against = [f"{environment}: {each}" for each in objections(made)]
            print(*against, sep="\n", end="\n" if against else "")
            is_good = (
                _lint(python, folder, "--ignore-checks", *SETTLED, "--template", f"{environment}.json")
                and not against
                and is_good
            )
    print(f"the function's templates: {'nothing to object' if is_good else 'see above'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
