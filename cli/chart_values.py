"""``make docs``: writes what the chart's ``values.yaml`` and the settings say into its ``README.md`` and schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from orders.settings import (
    CONCERNS,
    ApiSettings,
    AuthSettings,
    ClientSettings,
    DatabaseSettings,
    LambdaSettings,
    LifecycleSettings,
    LogSettings,
    PartnerSettings,
    SdkSettings,
    Settings,
    StackSettings,
    TelemetrySettings,
    TemporalSettings,
    WebhookSettings,
    WorkerSettings,
)

ROOT = Path(__file__).parent.parent
CHART = Path("infra/helm/order-lifecycle")
VALUES, SCHEMA, PAGE = CHART / "values.yaml", CHART / "values.schema.json", CHART / "README.md"

SHARED = (TemporalSettings, DatabaseSettings, TelemetrySettings, SdkSettings, LogSettings)
SCOPES: dict[str, tuple[type[Settings], ...]] = {
    "apiSettings": (LifecycleSettings, ApiSettings, AuthSettings, WebhookSettings, *SHARED),
    "workerSettings": (WorkerSettings, PartnerSettings, *SHARED),
}
"""Which concerns a process reads, by the definition that the schema has for its ``settings``."""
OWN = frozenset(
    {
        *("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_TLS", "TEMPORAL_TLS_SERVER_CA_CERT_PATH"),
        *("TEMPORAL_TLS_SERVER_NAME", "TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_KEY_PATH"),
        *("PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "API_HOST", "API_PORT", "PAYMENT_PROVIDER"),
        *("AUTH_MODE", "AUTH_NONE_I_MEAN_IT", "AUTH_ISSUER", "AUTH_AUDIENCE", "AUTH_JWKS_URL"),
        *("WORKER_HEALTH_HOST", "WORKER_HEALTH_PORT", "WORKER_DEPLOYMENT_NAME", "WORKER_BUILD_ID"),
        *("OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        *("OTEL_EXPORTER_PROMETHEUS_HOST", "OTEL_EXPORTER_PROMETHEUS_PORT"),
    }
)
"""Variables that have a value of their own in the chart, and so are not for ``settings``; nor is any secret."""
UNNAMED_SECRETS = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
"""Secrets that no value of the chart names: ``extraEnv`` has them, from a Secret."""
DURATION = r"^([0-9]+(\.[0-9]+)?|[0-9]+:[0-9]+:[0-9]+(\.[0-9]+)?|P([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9.]+S)?)?)$"
"""A time as the chart's templates read it, too: `_seconds.tpl`."""

_PLACE = re.compile(r"(<!-- values -->\n).*?(<!-- end -->)", re.DOTALL)
_KEY = re.compile(r"(?P<indent> *)(?P<key>[\w.-]+):(?: (?P<value>.*))?")


def schema(text: str) -> str:
    """Put the settings into the schema of the values."""
    written = json.loads(text)
    concerns: list[type[Settings]] = [*CONCERNS, SdkSettings]
    in_cluster = [concern for concern in concerns if concern not in (ClientSettings, LambdaSettings, StackSettings)]
    written["definitions"]["settings"] = _only(dict(_variables(in_cluster)))
    for name, scope in SCOPES.items():
        properties = {each: {"$ref": f"#/definitions/settings/properties/{each}"} for each, _ in _variables(scope)}
        written["definitions"][name] = _only(properties)
    known = {name for concern in in_cluster for name in concern.model_json_schema()["properties"]}
    variable = written["definitions"]["variable"]
    variable["properties"]["name"]["not"] = {"enum": sorted(known - {*UNNAMED_SECRETS})}
    variable["if"] = {"properties": {"name": {"enum": [*UNNAMED_SECRETS]}}}
    variable["then"] = {"required": ["valueFrom"]}
    return json.dumps(written, indent=2, ensure_ascii=False) + "\n"


def _only(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _variables(concerns: Iterable[type[Settings]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for concern in concerns:
        described = concern.model_json_schema()
        for name, field in described["properties"].items():
            # Of what may be None only the other type can be written.
            kind = field["anyOf"][0] if "anyOf" in field else field
            kind |= described["$defs"][kind["$ref"].rpartition("/")[2]] if "$ref" in kind else {}
            if name not in OWN and not kind.get("items", kind).get("writeOnly"):
                yield name, {"description": field.get("description", ""), **_as_value(kind)}


def _as_value(kind: dict[str, Any]) -> dict[str, Any]:
    """Give the schema of a value for what pydantic says of a setting."""
    if kind.get("format") == "duration":
        return {"type": ["number", "string"], "minimum": 0, "pattern": DURATION}
    if kind["type"] == "array":
        return {"type": "string"}
    if kind["type"] == "number":
        # What `helm --set` takes for a number is a whole one; 0.05 is a text to it.
        bounds: dict[str, Any] = {bound: kind[bound] for bound in ("minimum", "maximum") if bound in kind}
        return {"type": ["number", "string"], "pattern": r"^\d+(\.\d+)?$", **bounds}
    limits = ("enum", "pattern", "minLength", "minimum", "maximum", "exclusiveMinimum", "const")
    return {"type": kind["type"], **{limit: kind[limit] for limit in limits if limit in kind}}


def table(values: str) -> str:
    """List every value with its default and its comment.

    Raises:
        ValueError: a value has none, or does not stand on one line.
    """
    rows, path, comment = ["| value | default | meaning |", "|---|---|---|"], list[tuple[int, str]](), ""
    for number, line in enumerate(values.splitlines(), 1):
        if line.strip().startswith("# -- "):
            comment = line.strip().removeprefix("# -- ")
        elif found := _KEY.fullmatch(line):
            path = [(indent, key) for indent, key in path if indent < len(found["indent"])]
            path.append((len(found["indent"]), found["key"]))
            name = ".".join(key for _, key in path)
            if found["value"] and not comment:
                raise ValueError(f"values.yaml, line {number}: {name} has no comment: write `# -- …` above it")
            if found["value"]:
                rows.append(f"| `{name}` | `{found['value']}` | {comment.replace('|', '&#124;')} |")
                comment = ""
        elif line.strip() and not line.strip().startswith("#"):
            raise ValueError(f"values.yaml, line {number}: write a value on one line, as its key's")
    return "\n".join([*rows, ""])


def page(text: str, values: str) -> str:
    """Put the table into the chart's page, between its marks."""
    return _PLACE.sub(lambda found: found[1] + table(values) + found[2], text)


if __name__ == "__main__":
    (ROOT / SCHEMA).write_text(schema((ROOT / SCHEMA).read_text()))
    (ROOT / PAGE).write_text(page((ROOT / PAGE).read_text(), (ROOT / VALUES).read_text()))
