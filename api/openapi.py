"""The API's own description: what FastAPI can't know of it. ``make docs`` writes it to ``docs/openapi.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from api.problems import MEDIA_TYPE, TRACE_HEADER
from api.schemas import Problem

DOCUMENT = Path(__file__).parent.parent / "docs" / "openapi.json"
TAGS = [
    {"name": "orders", "description": "Place an order, find it, follow it."},
    {"name": "messages", "description": "Change an order's mind; each message stands in its audit trail."},
    {"name": "webhooks", "description": "What partners tell by themselves, signed."},
    {"name": "stats", "description": "How the system does."},
    {"name": "codec", "description": "What Temporal's web page and command line need to show what is encrypted there."},
    {"name": "health", "description": "Probes."},
]
TRACE = {
    "description": "by which the request is found in logs and traces (W3C Trace Context)",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}
Json = dict[str, Any]


def describe(app: FastAPI) -> None:
    """Have the application describe itself with its problems, scopes and headers."""
    without = app.openapi

    def openapi() -> Json:
        if app.openapi_schema is None:
            document = without()
            _describe_problems(document["components"]["schemas"])
            for operation in _operations(document):
                _describe_scopes(operation)
                _describe_parameters(operation)
                for answer in operation["responses"].values():
                    answer.setdefault("headers", {})[TRACE_HEADER] = TRACE
                _share_problems(operation["responses"], document["components"].setdefault("responses", {}))
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _operations(document: Json) -> Iterator[Json]:
    for path in document["paths"].values():
        yield from path.values()


def _describe_problems(schemas: Json) -> None:
    _, problems = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
    schemas |= problems["$defs"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)


def _describe_scopes(operation: Json) -> None:
    # FastAPI puts all scopes into one requirement, where all would be needed: one of them is enough.
    if needed := operation.get("security"):
        operation["security"] = [
            {name: [scope]} for need in needed for name, scopes in need.items() for scope in scopes
        ]


def _describe_parameters(operation: Json) -> None:
    # A parameter that may be left out can't be null all the same: there is no way to write that.
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        possible = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
        if len(possible) == 1:
            del schema["anyOf"]
            parameter["schema"] = {**possible[0], **schema}


def _share_problems(answers: Json, shared: Json) -> None:
    # The same problems stand at most operations: once is enough for a reader.
    for status, answer in answers.items():
        if found := answer.get("content", {}).get(MEDIA_TYPE):
            name = "-or-".join(found["examples"])
            shared[name] = answer
            answers[status] = {"$ref": f"#/components/responses/{name}"}


def text(app: FastAPI) -> str:
    """Give the document as it stands in ``docs/openapi.json``."""
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    from api.app import create_app
    from api.auth import Gatekeeper
    from orders.settings import ApiSettings, AuthSettings

    # None of its settings is in it, so none has to be there.
    DOCUMENT.write_text(text(create_app(ApiSettings(), gatekeeper=Gatekeeper(AuthSettings()))))
