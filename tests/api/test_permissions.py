"""Each route of the API, asked with each kind of token: who may, and what the others are told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import cache
from typing import Any, NamedTuple

import httpx2
import pytest
from fastapi.routing import iter_route_contexts

from api.app import create_app
from api.auth import Gatekeeper
from orders.settings import ApiSettings, load
from tests.api.conftest import Api, Asking, bearer, signed
from tests.examples import body, new_id
from tests.issuer import ALL_SCOPES, Issuer, forged, public_pem, token

READ, WRITE, REVIEW, OPERATE = ALL_SCOPES.split()
HOME = body()["shipping_address"]


class Route(NamedTuple):
    """A route, the scopes of which one is enough, a body that it takes, and its answer about an unknown order."""

    method: str
    path: str
    scopes: frozenset[str]
    sent: Any
    reached: int


GUARDED = [
    Route("POST", "/orders", frozenset({WRITE}), body(), 201),
    Route("GET", "/orders", frozenset({READ}), None, 200),
    Route("GET", "/orders/{order_id}", frozenset({READ}), None, 404),
    Route("GET", "/orders/{order_id}/events", frozenset({READ}), None, 404),
    Route("GET", "/orders/{order_id}/progress", frozenset({READ}), None, 404),
    Route("POST", "/orders/{order_id}/cancel", frozenset({WRITE, OPERATE}), {}, 404),
    Route("POST", "/orders/{order_id}/amend", frozenset({WRITE, OPERATE}), {"take_available": True}, 404),
    Route("PUT", "/orders/{order_id}/shipping-address", frozenset({WRITE, OPERATE}), HOME, 404),
    Route("POST", "/orders/{order_id}/payment/cancel", frozenset({WRITE, OPERATE}), {}, 404),
    Route("POST", "/orders/{order_id}/payment/retry", frozenset({WRITE, OPERATE}), {"payment_method": "tok_visa"}, 404),
    Route("POST", "/orders/{order_id}/review", frozenset({REVIEW}), {"decision": "approve"}, 404),
    Route("GET", "/stats", frozenset({OPERATE}), None, 200),
    Route("POST", "/codec/decode", frozenset({OPERATE}), {"payloads": []}, 404),
    Route("POST", "/codec/encode", frozenset({OPERATE}), {"payloads": []}, 404),
]
SIGNED = ["/webhooks/carrier", "/webhooks/payments"]
OPEN = ["/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json"]
NO_TOKEN = 'Bearer realm="orders"'
SIGNED_BY = "the token is not signed by RS256 or ES256"
REFUSED = {
    "expired": "the token has expired",
    "not yet valid": "the token is not valid yet",
    "another audience": "the token is for another audience",
    "another issuer": "the token is of another issuer",
    "another algorithm": SIGNED_BY,
    "no algorithm": SIGNED_BY,
    "the public key as a secret": SIGNED_BY,
    "a key of nobody": "the token is signed with no key of its issuer",
    "another key of the same name": "the token is not valid",
    "changed": "the token is not valid",
    "no token at all": "the token is not valid",
}
"""The kinds of tokens that are not believed, and why."""


@cache
def kinds() -> dict[str, str]:
    """Tokens to be refused, each good but for what its kind says; made once."""
    return {
        "expired": token(seconds=-31),
        "not yet valid": token(nbf=time.time() + 600),
        "another audience": token(aud="billing-api"),
        "another issuer": token(iss="https://issuer.example"),
        "another algorithm": token(algorithm="PS256", seconds=600),
        "no algorithm": forged("none"),
        "the public key as a secret": forged("HS256", public_pem()),
        "a key of nobody": token("ec of nobody", seconds=600),
        "another key of the same name": token("ec", signed_by="ec of nobody", seconds=600),
        "changed": token(seconds=600)[:-4] + "AAAA",
        "no token at all": "letmein",
    }


@cache
def with_scope(scope: str) -> str:
    return token(scope=f"openid {scope}", seconds=600)


@pytest.fixture(scope="module")
async def order_id(patient_api: Api) -> AsyncIterator[str]:
    """An order in review, to which nothing happens by itself."""
    order = await patient_api.place()
    await patient_api.until(order["id"], "in_review")
    yield order["id"]
    await patient_api.http.post(f"/orders/{order['id']}/cancel")


@pytest.mark.parametrize("route", GUARDED, ids=[f"{each.method} {each.path}" for each in GUARDED])
async def test_a_route_takes_a_token_with_its_scope_and_no_other_and_nothing_else_is_done(
    asking: Asking, patient_api: Api, order_id: str, route: Route
) -> None:
    http, key = asking(), new_id()
    answers: list[httpx2.Response] = []
    before = (await patient_api.http.get(f"/orders/{order_id}")).json()

    async def ask(shown: str | None, about: str = order_id) -> tuple[int, str | None, Any]:
        headers = {"Idempotency-Key": key, **(bearer(shown) if shown else {})}
        path = route.path.format(order_id=about)
        answers.append(answer := await http.request(route.method, path, json=route.sent, headers=headers))
        return answer.status_code, answer.headers.get("WWW-Authenticate"), answer.json()

    assert (await ask(None))[:2] == (401, NO_TOKEN)
    for kind, reason in REFUSED.items():
        challenge = f'{NO_TOKEN}, error="invalid_token", error_description="{reason}"'
        status, challenged, problem = await ask(kinds()[kind])
        assert (status, challenged, problem["detail"]) == (401, challenge, reason), kind
    needed = [scope for scope in ALL_SCOPES.split() if scope in route.scopes]
    for scope in {*ALL_SCOPES.split(), "", "orders:*"} - route.scopes:
        status, challenged, problem = await ask(with_scope(scope))
        assert (status, problem["type"]) == (403, "urn:order-lifecycle:problem:forbidden"), scope
        told = str(challenged).removeprefix(f'{NO_TOKEN}, error="insufficient_scope", scope=').strip('"').split()
        assert (sorted(told), problem["detail"]) == (sorted(needed), f"this needs the scope {' or '.join(told)}")
    if route.method == "GET":
        head = await http.head(route.path.format(order_id=order_id))
        assert (head.status_code, head.headers["WWW-Authenticate"]) == (401, NO_TOKEN)

    assert (await patient_api.http.get(f"/orders/{order_id}")).json() == before
    for number, scope in enumerate(sorted(route.scopes)):
        status, challenged, _ = await ask(with_scope(scope), about=new_id())
        assert (status, challenged) == (route.reached, None), scope
        # Had it been done above, under the same key, it would be said now.
        assert ("Idempotent-Replayed" in answers[-1].headers) == (route.reached == 201 and number > 0)


async def test_a_token_is_no_signature(asking: Asking) -> None:
    http = asking()
    for path in SIGNED:
        for shown in (None, token(), *kinds().values()):
            answer = await http.post(path, json={}, headers=bearer(shown) if shown else {})
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:order-lifecycle:problem:forged")
            assert "WWW-Authenticate" not in answer.headers
    event = {"id": "evt_1", "shipment": f"{new_id()}:1", "status": "lost", "at": "2026-01-02T03:04:05Z"}
    assert (await http.post("/webhooks/carrier", **signed(event))).status_code == 404, "signed, so that it is heard"


async def test_what_is_open_is_open_whatever_one_shows(asking: Asking) -> None:
    http = asking()
    for path in OPEN:
        for shown in (None, kinds()["expired"], kinds()["no algorithm"]):
            answer = await http.get(path, headers=bearer(shown) if shown else {})
            assert answer.status_code == 200, path


def test_every_route_that_there_is_stands_in_these_tables(issuer: Issuer) -> None:
    app = create_app(load(ApiSettings), None, Gatekeeper(issuer.settings()))
    found = {(method, str(each.path)) for each in iter_route_contexts(app.routes) for method in each.methods or ()}
    known = {(each.method, each.path) for each in GUARDED} | {("POST", path) for path in SIGNED}
    assert {each for each in found if each[0] != "HEAD"} == known | {("GET", path) for path in OPEN}


async def test_the_openapi_document_names_the_scheme_and_one_sufficient_scope_each(asking: Asking, api: Api) -> None:
    document = (await asking().get("/openapi.json")).json()
    (name, scheme), *others = document["components"]["securitySchemes"].items()
    assert (others, scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ([], "http", "bearer", "JWT")
    for route in GUARDED:
        operation = document["paths"][route.path][route.method.lower()]
        assert sorted(operation["security"], key=str) == [{name: [scope]} for scope in sorted(route.scopes)]
        assert {"401", "403"} <= operation["responses"].keys()
    open_paths = [document["paths"].get(path, {}) for path in (*OPEN, *SIGNED)]
    assert not [each for path in open_paths for each in path.values() if "security" in each]
    assert (await api.http.get("/openapi.json")).json() == document
