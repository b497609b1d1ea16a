"""The files of an encrypted connection, in PEM form (RFC 7468), checked where they are named."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

SYSTEM = Path("system")
"""What libpq calls the authorities that the machine trusts (PostgreSQL manual, ``sslrootcert``)."""


def _readable(file: Path) -> Path:
    try:
        file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file} can't be read ({error.strerror})") from error
    return file


def _authorities(file: Path) -> Path:
    try:
        ssl.create_default_context(cafile=_readable(file))
    except ssl.SSLError as error:
        raise ValueError(f"{file} holds no certificates in PEM form") from error
    return file


def _authorities_or_system(file: Path) -> Path:
    return file if file == SYSTEM else _authorities(file)


Readable = Annotated[Path, AfterValidator(_readable)]
Authorities = Annotated[Path, AfterValidator(_authorities)]
AuthoritiesOrSystem = Annotated[Path, AfterValidator(_authorities_or_system)]


def check_pair(certificate: tuple[str, Path | None], key: tuple[str, Path | None]) -> None:
    """Check a certificate and its key, each given as its setting's name and its file: both are there, or none.

    Raises:
        PydanticCustomError: one is missing, or they are of no use together.
    """
    (certificate_name, certificate_file), (key_name, key_file) = certificate, key
    if certificate_file and key_file:
        try:
            # An encrypted key would have somebody asked at the terminal.
            ssl.create_default_context().load_cert_chain(certificate_file, key_file, password="")
        except ssl.SSLError as error:
            reason = f"{key_file} is not the key, in PEM form and not encrypted, of {certificate_name}"
            raise PydanticCustomError(key_name, reason) from error
    elif certificate_file:
        raise PydanticCustomError(key_name, f"is needed with {certificate_name}")
    elif key_file:
        raise PydanticCustomError(certificate_name, f"is needed with {key_name}")
