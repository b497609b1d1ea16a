"""Who may ask the API: those with a token of the issuer, for what its scopes allow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from api.app import create_app
from orders.errors import InvalidSetting
from orders.model import RESERVED_ACTORS
from orders.settings import ApiSettings, load
from tests.api.conftest import Api, Asking, bearer, look_up
from tests.examples import new_id
from tests.issuer import ALL_SCOPES, forged, public_pem, token

READ, WRITE, _, OPERATE = ALL_SCOPES.split()
NO_TOKEN = 'Bearer realm="orders"'


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
