"""Requests as the gateways of AWS hand them to a function, where Mangum doesn't take them as they are meant.

What an event has is in AWS's manuals: "Input format of a Lambda function for proxy integration" (REST APIs), "Create
AWS Lambda proxy integrations for HTTP APIs" (payloads 1.0 and 2.0), "Invoking Lambda function URLs" and "Receive events
from the load balancer".
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from mangum.handlers import ALB, HTTPGateway
from mangum.handlers.alb import transform_headers
from mangum.types import Response, Scope

Event = Mapping[str, Any]
Headers = Sequence[Sequence[bytes]]
_HEADERS = ("headers", "multiValueHeaders")
TEXT = ["text/", "application/json", "application/problem+json"]
"""Types of bodies that go out as they are. Others go out in Base64, which a REST API does not undo unless told so."""
XRAY_HEADER = b"x-amzn-trace-id"
XRAY_VARIABLE = "_X_AMZN_TRACE_ID"
"""Where the runtime puts the function's own segment (AWS Lambda, "Defined runtime environment variables")."""


class Http(HTTPGateway):
    """A request to an HTTP API, or to the URL of a function."""

    def __call__(self, response: Response) -> dict[str, Any]:
        """Give the answer its form; to one that has no body, and so no type, Mangum would give one."""
        answer = super().__call__(response)
        if all(name.lower() != b"content-type" for name, _ in response["headers"]):
            answer["headers"].pop("content-type", None)
        return answer


class Balancer(ALB):
    """A request to an Application Load Balancer, which hands on any ``Host``."""

    @property
    def scope(self) -> Scope:
        """What ASGI wants to know of it; Mangum would fail at a host that is an address of IPv6, or none."""
        try:
            return super().scope
        except ValueError:
            safe = {**self.event, **{name: _without_host(self.event[name]) for name in _HEADERS if name in self.event}}
            scope = ALB(safe, self.context, self.config).scope
            return {**scope, "aws.event": self.event, "headers": [list(each) for each in transform_headers(self.event)]}


def mended(scope: Scope, base_path: str) -> tuple[Scope, str]:
    """Give what Mangum has made of an event with our own path, every header by itself, and the trace that goes on.

    ``base_path`` is the path under which a custom domain has the API, or nothing. Beside it stands what addresses have
    in front of our own paths.
    """
    event: Event = scope["aws.event"]
    # The URL of a function gives one that is decoded already beside this one.
    path, root = _path_in(unquote(event["rawPath"]) if _is_of_url(event) else scope["path"], event, base_path)
    headers = [*_headers_of(event)] or scope["headers"]
    # How the body came to the gateway: an event has the whole of it.
    headers = [each for each in headers if bytes(each[0]) != b"transfer-encoding"]
    return {**scope, "path": path, "headers": [*headers, *_measured(headers, event), *_continued(headers)]}, root


def vouched(event: Event) -> dict[str, Any] | None:
    """Give the claims of the token that the gateway itself has checked, if it has.

    An HTTP API writes a list as the text ``[one two]``; a REST API has such claims from Amazon Cognito only.
    """
    authorizer = event["requestContext"].get("authorizer") or {}
    of_jwt = authorizer.get("jwt")
    claims = of_jwt.get("claims") if isinstance(of_jwt, dict) else authorizer.get("claims")
    # What an authorizer of somebody's own calls so may be anything.
    return {name: _unfolded(claim) for name, claim in claims.items()} if isinstance(claims, dict) else None


def asked_at(event: Event) -> float | None:
    """Give the time, in seconds since 1970, in which the gateway took the request; a load balancer doesn't tell."""
    context = event["requestContext"]
    told = context.get("timeEpoch") or context.get("requestTimeEpoch")
    return told / 1000 if told else None


def _path_in(path: str, event: Event, base_path: str) -> tuple[str, str]:
    """Take off what addresses have in front of our own paths; say what that is, be it in the event's path or not."""
    root = ""
    context = event["requestContext"]
    stage = context.get("stage", "$default")
    # A custom domain has none, nor has an HTTP API without one.
    if stage != "$default" and ".execute-api." in context.get("domainName", ""):
        root = f"/{stage}"
        # REST APIs, whose events have no version, take it off themselves.
        path = _without(root, path) if "version" in event else path
    if base_path and ((rest := _without(base_path, path)) != path or _is_mapped(event)):
        path, root = rest, root + base_path
    return path, root


def _is_mapped(event: Event) -> bool:
    # An HTTP API takes off the path that its domain maps to it, a REST API does not.
    domain = event["requestContext"].get("domainName", "")
    return bool(domain) and not _is_of_url(event) and ".execute-api." not in domain


def _is_of_url(event: Event) -> bool:
    return ".lambda-url." in event["requestContext"].get("domainName", "")


def _without(prefix: str, path: str) -> str:
    return path.removeprefix(prefix) or "/" if f"{path}/".startswith(f"{prefix}/") else path


def _headers_of(event: Event) -> Iterator[tuple[bytes, bytes]]:
    """Give the headers by themselves that came several times: Mangum makes one of them."""
    for name, values in (event.get("multiValueHeaders") or {}).items():
        for value in values:
            yield name.lower().encode(), value.encode()


def _without_host(headers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if name.lower() not in ("host", "x-forwarded-port")}


def _measured(headers: Headers, event: Event) -> Iterator[tuple[bytes, bytes]]:
    """Give the length of the body, where nobody has: by that one knows that there is one (RFC 9112, section 6)."""
    body = event.get("body") or ""
    if body and not any(bytes(name) == b"content-length" for name, _ in headers):
        size = len(base64.b64decode(body)) if event.get("isBase64Encoded") else len(body.encode())
        yield b"content-length", str(size).encode()


def _unfolded(claim: Any) -> Any:
    is_list = isinstance(claim, str) and claim.startswith("[") and claim.endswith("]")
    return claim[1:-1].split() if is_list else claim


def _continued(headers: Headers) -> Iterator[tuple[bytes, bytes]]:
    """Give the ``traceparent`` by which X-Ray's trace goes on here, if X-Ray records it and the caller has no other.

    X-Ray's identifiers are those of W3C Trace Context, written otherwise (AWS X-Ray, "Tracing header"). ``Sampled=0``
    is its own affair: whether we record is for our sampler to say.
    """
    known = {bytes(name): bytes(value) for name, value in headers}
    if b"traceparent" in known:
        return
    for written in (os.environ.get(XRAY_VARIABLE, ""), known.get(XRAY_HEADER, b"").decode("latin-1")):
        fields = dict(part.strip().partition("=")[::2] for part in written.split(";"))
        version, _, trace = fields.get("Root", "").partition("-")
        if version == "1" and fields.get("Sampled") == "1" and "Parent" in fields:
            yield b"traceparent", f"00-{trace.replace('-', '')}-{fields['Parent']}-01".encode()
            return
