"""Encrypted connections to PostgreSQL: what libpq's settings mean, and what went wrong."""

from __future__ import annotations

import ssl

from orders.settings import DatabaseSettings
from orders.settings.certificates import SYSTEM

_OTHER_NAME = (62, 64)
"""OpenSSL's codes for a certificate that is good, but another host's (``X509_V_ERR_…_MISMATCH``)."""


def context_of(settings: DatabaseSettings) -> ssl.SSLContext | None:
    """Make what connections are encrypted with; none are with ``disable``.

    The modes are libpq's (PostgreSQL manual, "SSL Support"): with authorities ``require`` is ``verify-ca``, too.
    """
    if settings.ssl_mode == "disable":
        return None
    root = settings.ssl_root_cert
    context = ssl.create_default_context(cafile=None if root == SYSTEM else root)
    # Python 3.13 is stricter than libpq, and refuses authorities that are in use with PostgreSQL.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = settings.ssl_mode == "verify-full"
    if settings.ssl_mode == "require" and not root:
        context.verify_mode = ssl.CERT_NONE
    if settings.ssl_cert:
        context.load_cert_chain(settings.ssl_cert, settings.ssl_key, password="")
    return context


def explained(error: BaseException | None, said: str) -> str:
    """Say why there is no connection, in one line, and which setting to look at if that has to do with encryption.

    ``said`` is what is known of the error without that.
    """
    if isinstance(error, ssl.SSLError):
        return _of_tls(error)
    if said == "Server refuses SSL":
        return "the server does not encrypt, which PGSSLMODE asks for"
    if said.endswith("no encryption"):
        return f"{said}: see PGSSLMODE"
    return f"{said}: see PGSSLCERT" if "client certificate" in said else said


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OTHER_NAME:
            return "the server's certificate is not for the host in DATABASE_URL, as PGSSLMODE=verify-full wants it"
        return f"the server's certificate is not trusted ({error.verify_message}): see PGSSLROOTCERT"
    if isinstance(error, (ssl.SSLZeroReturnError, ssl.SSLEOFError)) or "ALERT" in str(error.reason):
        return "the server refuses the client's certificate, or wants one: see PGSSLCERT, and the server's log"
    return f"encryption failed ({error.reason}): see PGSSLMODE"
