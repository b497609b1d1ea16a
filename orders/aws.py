"""What AWS knows: secrets, and passwords of databases that are valid for a quarter of an hour.

botocore, which comes with the extra ``aws``, is imported where it is first needed: that takes longer than the rest of a
small process's start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from orders.errors import DependencyUnavailable, InvalidSetting

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from botocore.session import Session

SECRETS = "Secrets Manager"
PATIENCE = timedelta(seconds=5)
"""How long AWS may take altogether, unless somebody has less time."""
VALID = 900
"""For how many seconds a token opens a connection; one that is open stays so (Amazon RDS, "IAM database
authentication")."""

_MAKING = Lock()
"""Held while a client is made, which botocore's sessions don't bear twice at once."""
_MEND = {
    "AccessDeniedException": "allow the role secretsmanager:GetSecretValue on it, and kms:Decrypt on its key",
    "DecryptionFailure": "allow the role kms:Decrypt on the secret's key",
    "ExpiredTokenException": "see the process's role",
    "InvalidSignatureException": "see the process's role, and its clock",
    "UnrecognizedClientException": "see the process's role",
}
_NOT_THERE = {
    "ResourceNotFoundException": "there is no such secret",
    "InvalidRequestException": "the secret can't be read, perhaps since it is being deleted,",
    "ValidationException": "not the ARN or the name of a secret",
}


def secret_of(arn: str, setting: str = "SETTINGS_SECRET_ARN", patience: timedelta = PATIENCE) -> dict[str, str]:
    """Fetch a secret, by its ARN or name, that is a JSON object; what in it is no text is given as JSON writes it.

    ``setting`` is the variable that names the secret.

    Raises:
        DependencyUnavailable: AWS can't be reached, or refuses it.
        InvalidSetting: there is no such secret, it has another form, or no region is known.
    """
    import botocore.exceptions as failures  # noqa: PLC0415 - see above

    region = arn.split(":")[3] if arn.startswith("arn:") and arn.count(":") >= 6 else _region()  # noqa: PLR2004
    with _answering():
        with _MAKING:
            secrets = _secrets(region, patience)
        try:
            answer = secrets.get_secret_value(SecretId=arn)
        except failures.ClientError as error:
            raise _explained(error, f"{setting}: {arn}", region) from None
    try:
        found = json.loads(answer["SecretString"])
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}
    except (KeyError, ValueError, AttributeError):
        # Not with its cause, which quotes the secret.
        raise InvalidSetting(f"{setting}: the secret {arn} is not a JSON object") from None


def database_token(host: str, port: int, user: str) -> str:
    """Sign the password with which a user may open a connection to a database within the next 15 minutes.

    It is what botocore's ``generate_db_auth_token`` gives, without the client of RDS that has it, whose making takes
    longer than all the rest. Nobody is asked, unless the process's own credentials have to be renewed.

    Raises:
        DependencyUnavailable: the process has no credentials.
        InvalidSetting: no region is known.
    """
    from botocore.auth import SigV4QueryAuth  # noqa: PLC0415 - see above
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    region = _region()
    with _answering():
        credentials = _session(PATIENCE).get_credentials()
        if credentials is None:
            raise DependencyUnavailable("AWS", "the process has no credentials: give it a role")
        parameters = {"Action": "connect", "DBUser": user}
        request = AWSRequest("GET", f"https://{host}:{port}/", params=parameters)
        SigV4QueryAuth(credentials.get_frozen_credentials(), "rds-db", region, expires=VALID).add_auth(request)
    return str(request.url).removeprefix("https://")


def _region() -> str:
    # The second is the only one that botocore reads; Lambda sets both.
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if found := os.environ.get(name):
            return found
    raise InvalidSetting("AWS_REGION: is needed to ask AWS for anything; set that of the database, eu-central-1 say")


@cache
def _session(patience: timedelta) -> Session:
    """Make what knows the process's credentials, and renews them; one is kept, since that takes its time."""
    from botocore.config import Config  # noqa: PLC0415 - see above
    from botocore.session import get_session  # noqa: PLC0415

    # Two tries, each of which connects and waits, and at most a second between them.
    part = max(0.1, (patience.total_seconds() - 1) / 4)
    session = get_session()
    session.set_default_client_config(
        Config(connect_timeout=part, read_timeout=part, retries={"mode": "standard", "total_max_attempts": 2})
    )
    return session


@cache
def _secrets(region: str, patience: timedelta) -> Any:
    return _session(patience).create_client("secretsmanager", region_name=region)


@contextmanager
def _answering() -> Iterator[None]:
    """Say in words of ours what botocore makes of a network, or of a process without a role."""
    import botocore.exceptions as failures  # noqa: PLC0415 - see above

    try:
        yield
    except failures.NoCredentialsError:
        raise DependencyUnavailable("AWS", "the process has no credentials: give it a role") from None
    except (failures.ConnectionError, failures.HTTPClientError) as error:
        raise DependencyUnavailable(
            SECRETS, f"no answer ({type(error).__name__}): see the VPC's endpoint for it, or its way to the internet"
        ) from None
    except failures.BotoCoreError as error:
        raise DependencyUnavailable("AWS", f"{type(error).__name__}: see the process's role") from None


def _explained(error: ClientError, named: str, region: str) -> DependencyUnavailable | InvalidSetting:
    # By its code alone: the message names who asks.
    code = error.response.get("Error", {}).get("Code", "unknown")
    if reason := _NOT_THERE.get(code):
        return InvalidSetting(f"{named}: {reason} in {region}")
    mend = _MEND.get(code, "it is asked again later")
    return DependencyUnavailable(SECRETS, f"{code}: {mend}")
