"""The servers that the processes use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from orders.settings.base import Positive, Settings, possible_port
from orders.settings.certificates import SYSTEM, Authorities, AuthoritiesOrSystem, Readable, check_pair
from orders.settings.keys import EncryptionKeys


def _one_word(secret: SecretStr) -> SecretStr:
    # A header can't hold a line break, such as a file may end with: Temporal's client would leave the key out.
    if secret.get_secret_value().split() != [secret.get_secret_value()]:
        raise ValueError("there is a space or a line break in it, or at its end")
    return secret


class TemporalSettings(Settings):
    """The Temporal server (Temporal's own variables), and the keys to what is stored there."""

    address: Annotated[str, AfterValidator(possible_port)] = Field(
        "localhost:7233", alias="TEMPORAL_ADDRESS", pattern=r"^[^:/\s]+:\d{1,5}$", description="Temporal's `host:port`"
    )
    namespace: str = Field(
        "default",
        alias="TEMPORAL_NAMESPACE",
        min_length=1,
        description="Temporal's namespace, one for each shop: workers of two in one would take each other's orders",
    )
    api_key: Annotated[SecretStr, AfterValidator(_one_word)] | None = Field(
        None, alias="TEMPORAL_API_KEY", description="the API key, for Temporal Cloud; it goes out encrypted only"
    )
    tls: bool | None = Field(
        None,
        alias="TEMPORAL_TLS",
        description="whether the connection is encrypted; by default with TEMPORAL_API_KEY or one of TEMPORAL_TLS_…",
    )
    ca: Authorities | None = Field(
        None,
        alias="TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        description="file of the authorities that the server's certificate may come from (PEM); by default those that "
        "the machine trusts",
    )
    server_name: str | None = Field(
        None,
        alias="TEMPORAL_TLS_SERVER_NAME",
        description="name that the server's certificate has to have, where it is not the host of TEMPORAL_ADDRESS",
    )
    client_cert: Readable | None = Field(
        None, alias="TEMPORAL_TLS_CLIENT_CERT_PATH", description="file of the certificate to show to the server (PEM)"
    )
    client_key: Readable | None = Field(
        None, alias="TEMPORAL_TLS_CLIENT_KEY_PATH", description="file of its key (PEM, not encrypted)"
    )
    keep_alive: Positive = Field(
        timedelta(seconds=30),
        alias="TEMPORAL_KEEP_ALIVE",
        description="how long nothing may have come on a connection until it has to give a sign of life; the server "
        "turns away who asks for one more often than every 10 seconds",
    )
    keep_alive_timeout: Positive = Field(
        timedelta(seconds=15),
        alias="TEMPORAL_KEEP_ALIVE_TIMEOUT",
        description="how long that sign may take: then the connection is lost, perhaps dropped silently by a NAT, and "
        "what was asked on it is asked on another; a function takes 2 seconds",
    )
    encryption_keys: EncryptionKeys = Field(
        (),
        alias="ENCRYPTION_KEYS",
        description="what is encrypted by, before Temporal gets and stores it: `ID:KEY`, KEY being 32 bytes in base64, "
        "with commas between several; the first encrypts, all decrypt. `plain` in the place of the first encrypts "
        "nothing. The same for the API and all workers: docs/encryption.md",
    )

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is."""
        return bool(self.tls or self._of_tls())

    def _of_tls(self) -> list[str]:
        """Name what is of use on an encrypted connection only, and set."""
        values = {
            "TEMPORAL_API_KEY": self.api_key,
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": self.ca,
            "TEMPORAL_TLS_SERVER_NAME": self.server_name,
            "TEMPORAL_TLS_CLIENT_CERT_PATH": self.client_cert,
            "TEMPORAL_TLS_CLIENT_KEY_PATH": self.client_key,
        }
        return [name for name, value in values.items() if value]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.tls is False and (of_tls := self._of_tls()):
            raise PydanticCustomError("TEMPORAL_TLS", f"false can't be, with {of_tls[0]}: set true, or nothing")
        check_pair(
            ("TEMPORAL_TLS_CLIENT_CERT_PATH", self.client_cert), ("TEMPORAL_TLS_CLIENT_KEY_PATH", self.client_key)
        )
        return self


def _without_falling_back(mode: Any) -> Any:
    if mode in ("allow", "prefer"):
        raise ValueError(
            f"{mode} goes on in plain text with a server that refuses TLS: set verify-full, or require where its "
            "certificate can't be verified"
        )
    return mode


IN_URL = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}
"""The parameters in the query of a URL, and the variables that they overrule (PostgreSQL manual, "Environment
Variables")."""


class DatabaseSettings(Settings):
    """The PostgreSQL database."""

    url: SecretStr = Field(
        SecretStr("postgresql://localhost:5432/orders"),
        alias="DATABASE_URL",
        description="PostgreSQL URL as libpq writes it; `?host=/folder` names a Unix socket",
    )
    pool_size: int = Field(
        10, alias="DATABASE_POOL_SIZE", ge=1, le=500, description="connections, and threads, of one process"
    )
    pool: Literal["kept", "none"] = Field(
        "kept",
        alias="DATABASE_POOL",
        description="`kept`: connections stay open for what comes next; `none`: each piece of work has one of its own, "
        "which costs it the handshake and leaves nothing open: for many processes that mostly stand idle",
    )
    pre_ping: bool = Field(
        default=False,
        alias="DATABASE_PRE_PING",
        description="whether a kept connection has to give a sign of life before it is used, which costs a round trip: "
        "for processes that are frozen between two requests, whose connections die unseen",
    )
    max_idle: Positive | None = Field(
        None,
        alias="DATABASE_MAX_IDLE",
        description="how long, by the wall clock, a connection may lie idle and be used again; then it is replaced "
        "unasked, since an answer from one that a NAT or a proxy has dropped silently would be waited for as long as "
        "DATABASE_TIMEOUT; by default any time",
    )
    pooler: Literal["none", "transaction"] = Field(
        "none",
        alias="DATABASE_POOLER",
        description="`transaction`: DATABASE_URL is that of a pooler which lends a connection of the server's for a "
        "transaction (RDS Proxy; PgBouncer with `pool_mode=transaction`): each piece of work is one, and nothing is "
        "set for a session; what limits it is the role's (docs/database.md)",
    )
    auth: Literal["password", "iam", "secret"] = Field(
        "password",
        alias="DATABASE_AUTH",
        description="how each connection proves who it is: `password`: by that of DATABASE_URL; `iam`: by a token of "
        "AWS IAM, signed here, which is valid for 15 minutes; `secret`: by the user and the password that "
        "DATABASE_SECRET_ARN has then. The last two need the extra `aws`, and a region (AWS_REGION)",
    )
    secret_arn: str | None = Field(
        None,
        alias="DATABASE_SECRET_ARN",
        description="ARN or name of a secret in AWS Secrets Manager, in the form that RDS gives it: JSON with "
        "`username` and `password`; host, port and name of the database stay those of DATABASE_URL",
    )
    max_waiting: int = Field(
        200,
        alias="DATABASE_MAX_WAITING",
        ge=0,
        le=100_000,
        description="how many requests of one process may wait for a connection; more are answered with 503",
    )
    timeout: Positive = Field(
        timedelta(seconds=5),
        alias="DATABASE_TIMEOUT",
        description="longest wait for a connection or a statement; for a lock PostgreSQL lets it wait four fifths of "
        "that, and a migration half of it, and it ends a transaction of which nothing is heard for so long",
    )
    ssl_mode: Annotated[
        Literal["disable", "require", "verify-ca", "verify-full"], BeforeValidator(_without_falling_back)
    ] = Field(
        "disable",
        alias="PGSSLMODE",
        description="`verify-full`: encrypted, with the server that DATABASE_URL names; `verify-ca`: with any whose "
        "certificate comes from PGSSLROOTCERT; `require`: encrypted, with whoever answers; `disable`. This and the "
        "next three may stand in DATABASE_URL as well, as `?sslmode=…&sslrootcert=…`, and count first there; on a "
        "Unix socket they do nothing",
    )
    ssl_root_cert: AuthoritiesOrSystem | None = Field(
        None,
        alias="PGSSLROOTCERT",
        description="file of the authorities that the server's certificate may come from (PEM); `system`, or nothing, "
        "with `verify-full`: those that the machine trusts",
    )
    ssl_cert: Readable | None = Field(
        None, alias="PGSSLCERT", description="file of the certificate to show to the server (PEM)"
    )
    ssl_key: Readable | None = Field(None, alias="PGSSLKEY", description="file of its key (PEM, not encrypted)")

    @model_validator(mode="before")
    @classmethod
    def _url_counts_first(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        url = given.get("DATABASE_URL", "")
        text = url.get_secret_value() if isinstance(url, SecretStr) else str(url)
        said = dict(parse_qsl(text.partition("?")[2]))
        return {**given, **{name: said[parameter] for parameter, name in IN_URL.items() if parameter in said}}

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.auth == "iam" and self.ssl_mode == "disable":
            # The token goes out as it is, for whoever listens to use for a quarter of an hour.
            raise PydanticCustomError("PGSSLMODE", "disable can't be, with DATABASE_AUTH=iam: set verify-full")
        if self.auth == "secret" and not self.secret_arn:
            raise PydanticCustomError("DATABASE_SECRET_ARN", "is needed with DATABASE_AUTH=secret")
        if self.auth != "secret" and self.secret_arn:
            raise PydanticCustomError(
                "DATABASE_AUTH", f"{self.auth} makes nothing of DATABASE_SECRET_ARN: set secret, or take that out"
            )
        return self

    @model_validator(mode="after")
    def _agree(self) -> Self:
        files = {"PGSSLROOTCERT": self.ssl_root_cert, "PGSSLCERT": self.ssl_cert, "PGSSLKEY": self.ssl_key}
        given = [name for name, file in files.items() if file]
        if self.ssl_mode == "disable" and given:
            raise PydanticCustomError("PGSSLMODE", f"disable makes nothing of {given[0]}: set verify-full")
        if self.ssl_mode != "verify-full" and self.ssl_root_cert == SYSTEM:
            # So many have a certificate from one of these that it says nothing without a name; libpq refuses it too.
            raise PydanticCustomError(
                "PGSSLMODE", f"{self.ssl_mode} can't be, with PGSSLROOTCERT=system: set verify-full"
            )
        if self.ssl_mode == "verify-ca" and not self.ssl_root_cert:
            raise PydanticCustomError("PGSSLROOTCERT", "is needed with PGSSLMODE=verify-ca")
        check_pair(("PGSSLCERT", self.ssl_cert), ("PGSSLKEY", self.ssl_key))
        return self
