"""Who may ask the API: those with a token of the issuer, for what its scopes allow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.routing import iter_route_contexts

from api.app import create_app
from api.auth import Gatekeeper
from orders.errors import InvalidSetting
from orders.model import RESERVED_ACTORS
from orders.settings import ApiSettings, load
from tests.api.conftest import Api, Asking, bearer, look_up
from tests.examples import new_id
from tests.issuer import ALL_SCOPES, Issuer, private_key, token

OPEN = {"/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json"}
SIGNED = {"/webhooks/carrier", "/webhooks/payments"}
READ, WRITE, REVIEW, OPERATE = ALL_SCOPES.split()
ROUTES = [
    ("POST", "/orders", {WRITE}),
    ("GET", "/orders", {READ}),
    ("GET", "/orders/{order_id}", {READ}),
    ("GET", "/orders/{order_id}/events", {READ}),
    ("GET", "/orders/{order_id}/progress", {READ}),
    ("POST", "/orders/{order_id}/cancel", {WRITE, OPERATE}),
    ("POST", "/orders/{order_id}/amend", {WRITE, OPERATE}),
    ("PUT", "/orders/{order_id}/shipping-address", {WRITE, OPERATE}),
    ("POST", "/orders/{order_id}/payment/cancel", {WRITE, OPERATE}),
    ("POST", "/orders/{order_id}/payment/retry", {WRITE, OPERATE}),
    ("POST", "/orders/{order_id}/review", {REVIEW}),
    ("GET", "/stats", {OPERATE}),
    ("POST", "/codec/decode", {OPERATE}),
    ("POST", "/codec/encode", {OPERATE}),
]
NO_TOKEN = 'Bearer realm="orders"'


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    """A token that PyJWT refuses to make."""
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in (header, claims)]
    signature = hmac.new(secret, b".".join(parts), hashlib.sha256).digest() if secret else b""
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def forged(algorithm: str, secret: bytes | None = None) -> str:
    part = token().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return by_hand({"alg": algorithm, "kid": "rsa"}, claims, secret)


def public_pem() -> bytes:
    return private_key("rsa").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("kid", ["rsa", "ec"])
async def test_a_token_of_the_issuer_is_believed(asking: Asking, kid: str) -> None:
    assert (await look_up(asking(), token(kid))).status_code == 404


@pytest.mark.parametrize("shown", [None, "Basic YW5uOnNlY3JldA==", "Bearer", "Bearer ", "eyJh.eyJp.c2ln"])
async def test_who_shows_no_token_is_told_to_and_not_that_it_is_wrong(asking: Asking, shown: str | None) -> None:
    answer = await asking().get(f"/orders/{new_id()}", headers={"Authorization": shown} if shown else {})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, NO_TOKEN)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:order-lifecycle:problem:unauthenticated"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: token(seconds=-31), "the token has expired"),
        (lambda: token(nbf=time.time() + 40), "the token is not valid yet"),
        (lambda: token(iat=time.time() + 40), "the token is not valid yet"),
        (lambda: token(iss="https://issuer.example"), "the token is of another issuer"),
        (lambda: token(aud="billing-api"), "the token is for another audience"),
        (lambda: token(aud=["billing-api"]), "the token is for another audience"),
        (lambda: token(iss=None), "the token lacks one of the claims"),
        (lambda: token(aud=None), "the token lacks one of the claims"),
        (lambda: token(sub=None), "the token lacks one of the claims"),
        (lambda: token(exp=None), "the token lacks one of the claims"),
        (lambda: token(exp="tomorrow"), "the token is not valid"),
        (lambda: "not a token", "the token is not valid"),
        (lambda: "a.b.c", "the token is not valid"),
        (lambda: "é" * 9, "the token is not valid"),
        (lambda: token(signed_by="somebody else"), "the token is not valid"),
        (lambda: token()[:-4] + "AAAA", "the token is not valid"),
        (lambda: token("made up"), "the token is signed with no key of its issuer"),
        (lambda: token("ec", signed_by="rsa", algorithm="RS256"), "the token is signed with no key of its issuer"),
        (lambda: token(algorithm="PS256"), "the token is not signed by RS256 or ES256"),
        (lambda: token(algorithm="RS512"), "the token is not signed by RS256 or ES256"),
        (lambda: forged("none"), "the token is not signed by RS256 or ES256"),
        (lambda: forged("HS256", public_pem()), "the token is not signed by RS256 or ES256"),
        (lambda: forged("RS256", public_pem()), "the token is not valid"),
    ],
)
async def test_a_token_that_can_not_be_believed_is_refused_with_the_reason(
    asking: Asking, make: Callable[[], str], reason: str
) -> None:
    shown = make()
    answer = await asking().get(f"/orders/{new_id()}", headers={b"Authorization": f"Bearer {shown}".encode()})
    assert answer.status_code == 401, answer.text
    assert reason in answer.json()["detail"]
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge == f'{NO_TOKEN}, error="invalid_token", error_description="{answer.json()["detail"]}"'
    assert shown not in answer.text


@pytest.mark.parametrize(
    "make", [lambda: token(seconds=-25), lambda: token(nbf=time.time() + 25), lambda: token(iat=time.time() + 25)]
)
async def test_the_clock_of_the_issuer_may_be_off_by_the_skew(asking: Asking, make: Callable[[], str]) -> None:
    shown = make()
    assert (await look_up(asking(), shown)).status_code == 404
    assert (await look_up(asking(AUTH_CLOCK_SKEW="0"), shown)).status_code == 401


@pytest.mark.parametrize(
    "subject",
    [
        *sorted(RESERVED_ACTORS),
        "System",
        "ｓｙｓｔｅｍ",
        " system",
        "a\nb",
        "a\u202eb",
        "a\u200bb",
        "a\x00",
        "",
        "x" * 256,
        7,
    ],
)
async def test_a_subject_that_would_forge_the_audit_trail_is_refused(asking: Asking, subject: Any) -> None:
    assert (await look_up(asking(), token(sub=subject))).status_code == 401


@pytest.mark.parametrize("subject", ["auth0|5f7c8ec7c33c6c004bbafe82", "Zoë at the front desk", "x" * 255])
async def test_any_other_subject_is_taken_as_it_is(asking: Asking, subject: str) -> None:
    assert (await look_up(asking(), token(sub=subject))).status_code == 404


async def test_the_subject_of_a_token_is_the_actor_in_the_audit_trail(asking: Asking, working: None) -> None:
    http = asking()
    http.headers |= bearer(token())
    order = await Api(http).place()
    await Api(http).until(order["id"], "completed")
    late = await http.post(f"/orders/{order['id']}/cancel", headers=bearer(token(sub="ann", scope=OPERATE)))
    assert late.status_code == 409
    await Api(http).until_event(order["id"], "refused")
    events = (await http.get(f"/orders/{order['id']}/events")).json()["data"]
    assert [events[0]["actor"], events[-1]["actor"]] == ["shop-frontend", "ann"]


async def test_where_no_token_is_needed_the_actor_is_anonymous_and_may_do_everything(api: Api) -> None:
    order = await api.place()
    await api.until(order["id"], "completed")
    answer = await api.http.get(f"/orders/{order['id']}/events", headers=bearer("not a token"))
    assert answer.json()["data"][0]["actor"] == "anonymous"
    assert (await api.http.post(f"/orders/{order['id']}/review", json={"decision": "approve"})).status_code == 409


@pytest.mark.parametrize("scope", ALL_SCOPES.split())
@pytest.mark.parametrize(("method", "path", "enough"), ROUTES, ids=[f"{method} {path}" for method, path, _ in ROUTES])
async def test_a_route_takes_the_scopes_that_it_names_and_no_other(
    asking: Asking, method: str, path: str, enough: set[str], scope: str
) -> None:
    answer = await asking().request(
        method, path.format(order_id=new_id()), headers=bearer(token(scope=f"openid {scope}"))
    )
    assert (answer.status_code == 403) == (scope not in enough)
    if answer.status_code == 403:
        problem = answer.json()
        needed = answer.headers["WWW-Authenticate"].removeprefix(f'{NO_TOKEN}, error="insufficient_scope", scope=')
        assert problem["type"] == "urn:order-lifecycle:problem:forbidden"
        assert set(needed.strip('"').split()) == enough
        assert all(each in problem["detail"] for each in enough)
    else:
        assert answer.status_code in {200, 404, 422}


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"scope": None, "scp": "orders:write orders:read"}, 404),
        ({"scope": None, "scp": [WRITE, READ]}, 404),
        ({"scope": None}, 403),
        ({"scope": ""}, 403),
        ({"scope": "orders:reader ORDERS:READ orders:*"}, 403),
        ({"scope": {READ: True}}, 403),
        ({"scope": 7}, 403),
        ({"scope": None, "scp": [7, None, {}]}, 403),
    ],
)
async def test_scopes_are_read_as_issuers_write_them(asking: Asking, claims: dict[str, Any], status: int) -> None:
    assert (await look_up(asking(), token(**claims))).status_code == status


async def test_every_route_that_is_not_open_on_purpose_asks_for_a_token(asking: Asking, issuer: Issuer) -> None:
    app = create_app(load(ApiSettings), None, Gatekeeper(issuer.settings()))
    found = {(method, str(each.path)) for each in iter_route_contexts(app.routes) for method in each.methods or ()}
    guarded = {(method, path) for method, path in found if path not in OPEN | SIGNED}
    assert guarded >= {(method, path) for method, path, _ in ROUTES}
    http = asking()
    for method, path in guarded:
        answer = await http.request(method, path.format(order_id="x"))
        assert (answer.status_code, method, path) == (401, method, path)


async def test_the_openapi_document_names_the_scheme_and_one_sufficient_scope_each(asking: Asking, api: Api) -> None:
    document = (await asking().get("/openapi.json")).json()
    (name, scheme), *others = document["components"]["securitySchemes"].items()
    assert (others, scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ([], "http", "bearer", "JWT")
    for method, path, enough in ROUTES:
        operation = document["paths"][path][method.lower()]
        assert sorted(operation["security"], key=str) == [{name: [scope]} for scope in sorted(enough)]
        assert {"401", "403"} <= operation["responses"].keys()
    assert not [
        path for path in OPEN | SIGNED for each in document["paths"].get(path, {}).values() if "security" in each
    ]
    assert (await api.http.get("/openapi.json")).json() == document


def test_an_api_that_others_reach_does_not_start_without_tokens() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "api"],
        env={**os.environ, "API_HOST": "0.0.0.0", "API_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("AUTH_MODE: none lets anybody do anything")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("host", [None, "0.0.0.0"])
def test_another_server_can_not_serve_it_without_tokens_either(
    monkeypatch: pytest.MonkeyPatch, host: str | None
) -> None:
    monkeypatch.delenv("API_HOST")
    if host:
        monkeypatch.setenv("API_HOST", host)
    with pytest.raises(InvalidSetting, match=r"^AUTH_MODE: "):
        create_app()
    with pytest.raises(InvalidSetting, match=r"^AUTH_MODE: "):
        create_app(load(ApiSettings))
    monkeypatch.setenv("AUTH_NONE_I_MEAN_IT", "true")
    create_app()
