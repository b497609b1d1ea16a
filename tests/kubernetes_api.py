"""A cluster's API as far as Helm asks it while it renders: objects that are there, for tests of what looks for them."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KINDS = {
    "v1": {"secrets": "Secret", "serviceaccounts": "ServiceAccount", "services": "Service", "pods": "Pod"},
    "apps/v1": {"deployments": "Deployment"},
    "batch/v1": {"jobs": "Job"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
"""What it knows, by version: the resources, each with its kind."""
GET = {"namespaced": True, "verbs": ["get", "list"], "singularName": ""}


class KubernetesApi:
    """An HTTP server on the loopback that has objects by their paths, such as ``orders/secrets/stripe``."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = api.answer(self.path.partition("?")[0])
                content = json.dumps(
                    found or {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
                )
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *args: Any) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Serve nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def has(self, namespace: str, resource: str, name: str, **fields: Any) -> None:
        """Have an object from now on."""
        metadata = {"name": name, "namespace": namespace}
        document = {"apiVersion": "v1", "kind": KINDS["v1"][resource], "metadata": metadata, **fields}
        self.objects[f"/api/v1/namespaces/{namespace}/{resource}/{name}"] = document

    def answer(self, path: str) -> dict[str, Any] | None:
        """Answer a request; None where there is nothing."""
        discovery: dict[str, dict[str, Any]] = {
            "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [_group(each) for each in KINDS if "/" in each],
            },
        }
        for version, kinds in KINDS.items():
            resources = [{"name": name, "kind": kind, **GET} for name, kind in kinds.items()]
            found = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
            discovery[f"/apis/{version}" if "/" in version else f"/api/{version}"] = found
        return discovery.get(path) or self.objects.get(path)


def _group(version: str) -> dict[str, Any]:
    name, _, number = version.partition("/")
    preferred = {"groupVersion": version, "version": number}
    return {"name": name, "versions": [preferred], "preferredVersion": preferred}
