"""What of the locked packages is not in the archive for AWS Lambda, and why: the function does without it."""

from __future__ import annotations

import re

PACKAGES = {
    "click": "for uvicorn's command line",
    "dnspython": "looks up whether a domain takes mail: only the form of an address is looked at",
    "greenlet": "for SQLAlchemy under asyncio: PostgreSQL is asked from threads",
    "h11": "for uvicorn's connections",
    "opentelemetry-exporter-prometheus": "nobody can scrape a function",
    "prometheus-client": "nobody can scrape a function",
    "pycparser": "for cffi, when it compiles",
    "types-protobuf": "for type checkers",
    "uvicorn": "a server: events come from AWS's runtime",
}
"""What is not even installed."""
# These go along with what they are for.
LICENSES = r"\.dist-info/(licenses/|LICEN[CS]E|NOTICE|COPYING)"
FILES = {
    r"(cli|migrations|workers)/|api/(__main__|connections|process)\.py": "processes of their own",
    r"bin/": "commands",
    r".+/(tests|testing)/|anyio/(pytest_plugin|_backends/_trio)": "for tests",
    rf"(?!.+{LICENSES}).+\.(c|h|lock|md|proto|pxd|pyi|pyx|rs|toml)$": "for compilers and readers",
    r".+/py\.typed$|pydantic/(v1/)?mypy": "for type checkers",
    r"temporalio/bridge/sdk-core/": "the source of Temporal's native part",
    r"temporalio/contrib/(?!__init__|opentelemetry/|pydantic\.)": "Temporal with libraries that are not ours",
    r"cffi/": "a compiler: cryptography needs no more than `_cffi_backend`",
    r"sqlalchemy/(ext|orm)/": "maps classes: the ledger speaks SQLAlchemy's Core",
    r"sqlalchemy/dialects/(mssql|mysql|oracle|sqlite)/": "other databases",
    r"botocore/data/(?!secretsmanager/)[^/]+/": "services of AWS that are not asked",
    r"botocore/data/.+/examples": "documentation of AWS",
    rf"(?!.+{LICENSES})[^/]+\.dist-info/(?!METADATA$|entry_points\.txt$)": "for installers: names and plugins stay",
}
"""What is not kept of what is installed: how paths begin, as regular expressions."""


def why(path: str) -> str | None:
    """Say why a file is left out, by its path in the archive; None: it is kept."""
    return next((reason for pattern, reason in FILES.items() if re.match(pattern, path)), None)
