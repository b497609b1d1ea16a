"""What AWS's gateways make of HTTP requests, and of what a function returns: one class for each kind of gateway.

The shapes are those of AWS's manuals: "Lambda proxy integrations in API Gateway" (REST APIs), "Create AWS Lambda proxy
integrations for HTTP APIs", "Invoking Lambda function URLs", and "Lambda functions as targets" (load balancers). What
those leave open is as it was seen at real gateways: which paths and queries come decoded (captures in pull request 8
of hotsock/voker), and which bodies in base64 (pull requests 766 and 767 of ministackorg/ministack).
"""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

from tests.function.answers import Answer, answer_to_balancer, answer_to_format_1, answer_to_format_2
from tests.function.runtime_api import new_trace_header

ACCOUNT, API = "123456789012", "a1b2c3d4e5"
DOMAIN, OWN_DOMAIN = f"{API}.execute-api.eu-central-1.amazonaws.com", "shop.example.com"
CLIENT = "192.0.2.7"
_TEXT = re.compile(r"(text/.*|application/(json|xml|javascript))(\s*;.*)?", re.IGNORECASE)
"""Content of these types comes as text, and of every other in base64, unless the API says otherwise."""

Claims = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """An HTTP request: the path and the query as they stand in its first line, the headers with those that repeat."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    claims: Claims | None = None
    """What the gateway's own authorizer has found in the caller's token."""
    trace: str = field(default_factory=lambda: new_trace_header().partition(";")[0])

    @property
    def at_gateway(self) -> list[tuple[str, str]]:
        """The headers with those that every gateway adds."""
        added = {"X-Forwarded-For": CLIENT, "X-Forwarded-Port": "443", "X-Forwarded-Proto": "https"}
        return [*self.headers, *added.items(), ("X-Amzn-Trace-Id", self.trace)]

    @property
    def is_text(self) -> bool:
        return is_utf8(self.body)

    def value(self, name: str) -> str:
        """The last header of that name."""
        return next((value for known, value in reversed(self.headers) if known.lower() == name), "")

    @property
    def repeats(self) -> bool:
        """Whether a header or a parameter comes more than once."""
        names = [*(name.lower() for name, _ in self.headers), *(f"?{name}" for name, _ in raw_pairs(self.query))]
        return max(Counter(names).values(), default=0) > 1


class Gateway(Protocol):
    """What stands between a client and a function."""

    @property
    def prefix(self) -> str:
        """What the clients' paths begin with, before the service's own."""

    def carries(self, asked: Asked) -> bool:
        """Whether such a request gets through whole."""

    def event(self, asked: Asked) -> dict[str, Any]:
        """What the function is given."""

    def answer(self, returned: Any, asked: Asked) -> Answer:
        """What the client is given.

        Raises:
            Malformed: the gateway would say 502, since the function must not return that.
        """


@dataclass(frozen=True)
class RestApi:
    """API Gateway's REST API, with or without a domain of one's own, of which each base path leads to an API."""

    stage: str = "live"
    base_path: str = ""
    is_binary: bool = False
    """Its ``binaryMediaTypes`` are ``*/*``. Otherwise it can't carry what is not text, in either direction."""

    @property
    def prefix(self) -> str:
        return f"/{self.base_path or self.stage}"

    def carries(self, asked: Asked) -> bool:
        return self.is_binary or asked.is_text

    def event(self, asked: Asked) -> dict[str, Any]:
        path = f"/{self.base_path}{asked.path}" if self.base_path else asked.path
        authorizer = {"claims": written(asked.claims)} if asked.claims else None
        return {
            "resource": "/{proxy+}",
            "path": path,
            "httpMethod": asked.method,
            **_twice("headers", "multiValueHeaders", asked.at_gateway),
            **_twice("queryStringParameters", "multiValueQueryStringParameters", pairs(asked.query)),
            "pathParameters": {"proxy": asked.path[1:]},
            "stageVariables": None,
            "requestContext": {
                **_context_1(asked, self.stage, f"{self.prefix}{asked.path}", OWN_DOMAIN if self.base_path else DOMAIN),
                "resourcePath": "/{proxy+}",
                "authorizer": authorizer,
            },
            **_body(asked, is_text=not self.is_binary),
        }

    def answer(self, returned: Any, asked: Asked) -> Answer:
        return answer_to_format_1(returned, is_binary=self.is_binary, is_strict=True)


@dataclass(frozen=True)
class HttpApi:
    """API Gateway's HTTP API, which has its function told in format 2.0: paths come decoded, twice."""

    stage: str = "$default"

    @property
    def prefix(self) -> str:
        return "" if self.stage == "$default" else f"/{self.stage}"

    def carries(self, asked: Asked) -> bool:
        return decoded_twice(asked.path) == unquote(asked.path)

    def event(self, asked: Asked) -> dict[str, Any]:
        path = f"{self.prefix}{decoded_twice(asked.path)}"
        authorizer = {"authorizer": {"jwt": {"claims": written(asked.claims), "scopes": None}}} if asked.claims else {}
        return _format_2(asked, self.stage, path, path, DOMAIN, ACCOUNT, authorizer, keeps_cookies=False)

    def answer(self, returned: Any, asked: Asked) -> Answer:
        return answer_to_format_2(returned)


@dataclass(frozen=True)
class HttpApiOfFormat1:
    """The same, whose function is told in format 1.0."""

    prefix: str = ""

    def carries(self, asked: Asked) -> bool:
        return decoded_twice(asked.path) == unquote(asked.path)

    def event(self, asked: Asked) -> dict[str, Any]:
        path = decoded_twice(asked.path) or "/"
        authorizer = {"claims": written(asked.claims), "scopes": None} if asked.claims else {}
        return {
            "version": "1.0",
            "resource": "$default",
            "path": path,
            "httpMethod": asked.method,
            **_twice("headers", "multiValueHeaders", asked.at_gateway),
            **_twice("queryStringParameters", "multiValueQueryStringParameters", pairs(asked.query)),
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {**_context_1(asked, "$default", path), "authorizer": authorizer},
            **_body(asked, is_text=_comes_as_text(asked)),
        }

    def answer(self, returned: Any, asked: Asked) -> Answer:
        return answer_to_format_1(returned, is_binary=True)


@dataclass(frozen=True)
class FunctionUrl:
    """A function's own address: format 2.0 with the path as it was sent; cookies come twice."""

    prefix: str = ""

    def carries(self, asked: Asked) -> bool:
        return True

    def event(self, asked: Asked) -> dict[str, Any]:
        domain = f"{'u' * 32}.lambda-url.eu-central-1.on.aws"
        return _format_2(
            asked, "$default", asked.path, unquote(asked.path), domain, "anonymous", {}, keeps_cookies=True
        )

    def answer(self, returned: Any, asked: Asked) -> Answer:
        return answer_to_format_2(returned)


@dataclass(frozen=True)
class LoadBalancer:
    """An Application Load Balancer; without ``is_multi_value`` only the last of what repeats gets through."""

    is_multi_value: bool
    prefix: str = ""

    def carries(self, asked: Asked) -> bool:
        return self.is_multi_value or not asked.repeats

    def event(self, asked: Asked) -> dict[str, Any]:
        headers = [(name.lower(), value) for name, value in asked.at_gateway]
        query = raw_pairs(asked.query)
        arn = f"arn:aws:elasticloadbalancing:eu-central-1:{ACCOUNT}:targetgroup/orders-api/0123456789abcdef"
        several = {"multiValueHeaders": _listed(headers), "multiValueQueryStringParameters": _listed(query)}
        return {
            "requestContext": {"elb": {"targetGroupArn": arn}},
            "httpMethod": asked.method,
            "path": asked.path,
            **(several if self.is_multi_value else {"headers": dict(headers), "queryStringParameters": dict(query)}),
            **_body(asked, is_text=_comes_as_text(asked), nothing=""),
        }

    def answer(self, returned: Any, asked: Asked) -> Answer:
        return answer_to_balancer(returned, is_multi_value=self.is_multi_value)


GATEWAYS: dict[str, Gateway] = {
    "http-api": HttpApi(),
    "http-api-stage": HttpApi("dev"),
    "http-api-1.0": HttpApiOfFormat1(),
    "rest-api": RestApi(),
    "rest-api-binary": RestApi(is_binary=True),
    "load-balancer": LoadBalancer(is_multi_value=True),
    "load-balancer-single": LoadBalancer(is_multi_value=False),
    "function-url": FunctionUrl(),
}
"""One of each kind, at the addresses that AWS gives them."""


def is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def pairs(query: str) -> list[tuple[str, str]]:
    """The parameters of a query, decoded."""
    return parse_qsl(query, keep_blank_values=True)


def raw_pairs(query: str) -> list[tuple[str, str]]:
    """The parameters of a query as they were sent."""
    halves = (part.partition("=") for part in query.split("&") if part)
    return [(name, value) for name, _, value in halves]


def decoded_twice(path: str) -> str | None:
    """What an HTTP API makes of a path; None where it refuses the request."""
    if not is_utf8(once := _unquoted(path)):
        return None
    text = once.decode().partition("?")[0]
    if re.search(r"%(?![0-9A-Fa-f]{2})", text) or not is_utf8(twice := _unquoted(text)):
        return None
    return twice.decode()


def _unquoted(path: str) -> bytes:
    return unquote(path, "latin-1").encode("latin-1") if path.isascii() else path.encode()


def written(claims: Claims | None) -> dict[str, str]:
    """Claims as an authorizer hands them on: everything as text, lists between brackets."""

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return f"[{' '.join(map(text, value))}]" if isinstance(value, list) else str(value)

    return {name: text(value) for name, value in (claims or {}).items() if value is not None}


def _format_2(
    asked: Asked,
    stage: str,
    raw_path: str,
    path: str,
    domain: str,
    account: str,
    authorizer: dict[str, Any],
    *,
    keeps_cookies: bool,
) -> dict[str, Any]:
    headers = _joined((name.lower(), value) for name, value in asked.at_gateway)
    cookies = [each for each in headers.get("cookie", "").replace(",", ";").split(";") if each]
    if not keeps_cookies:
        headers.pop("cookie", None)
    query = {"queryStringParameters": _joined(pairs(asked.query))} if asked.query else {}
    body = _body(asked, is_text=_comes_as_text(asked))
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": asked.query,
        **({"cookies": [cookie.strip() for cookie in cookies]} if cookies else {}),
        "headers": headers,
        **query,
        "requestContext": {
            "accountId": account,
            "apiId": domain.partition(".")[0],
            **authorizer,
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "http": {
                "method": asked.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": CLIENT,
                "userAgent": asked.value("user-agent"),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": stage,
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": int(time.time() * 1000),
        },
        # Where nothing was sent there is no body.
        **(body if asked.body else {"isBase64Encoded": False}),
    }


def _context_1(asked: Asked, stage: str, path: str, domain: str = DOMAIN) -> dict[str, Any]:
    return {
        "accountId": ACCOUNT,
        "apiId": API,
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "extendedRequestId": "ATfSdF7nPHcErRA=",
        "httpMethod": asked.method,
        "identity": {"sourceIp": CLIENT, "userAgent": asked.value("user-agent"), "user": None, "userArn": None},
        "path": path,
        "protocol": "HTTP/1.1",
        "requestId": str(uuid.uuid4()),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        "requestTimeEpoch": int(time.time() * 1000),
        "resourceId": "al6gqb",
        "stage": stage,
    }


def _comes_as_text(asked: Asked) -> bool:
    return bool(_TEXT.fullmatch(asked.value("content-type"))) and not asked.value("content-encoding")


def _body(asked: Asked, *, is_text: bool, nothing: str | None = None) -> dict[str, Any]:
    if not asked.body:
        return {"body": nothing, "isBase64Encoded": False}
    if is_text and asked.is_text:
        return {"body": asked.body.decode(), "isBase64Encoded": False}
    return {"body": base64.b64encode(asked.body).decode(), "isBase64Encoded": True}


def _listed(found: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    listed = defaultdict(list)
    for name, value in found:
        listed[name].append(value)
    return dict(listed)


def _joined(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: ",".join(values) for name, values in _listed(found).items()}


def _twice(once: str, several: str, found: list[tuple[str, str]]) -> dict[str, Any]:
    """The last value of each name, and all of them; None where there are none."""
    return {once: dict(found) or None, several: _listed(found) or None}
