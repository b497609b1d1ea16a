"""The keys of the issuer: asked for seldom, one request at a time, and kept while the issuer is away."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from api import tokens
from api.tokens import MAX_KEYS, IssuerKeys
from tests.api.conftest import Asking, bearer, look_up
from tests.examples import body
from tests.issuer import Issuer, private_jwk, public_jwk, token


@pytest.mark.container_only("each environment asks the issuer itself, and answers one request at a time")
async def test_all_who_come_first_wait_for_one_request_to_the_issuer(asking: Asking, issuer: Issuer) -> None:
    http = asking()
    answers = await asyncio.gather(*(look_up(http, token()) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {404}
    assert issuer.requests == 1


async def test_a_key_that_the_issuer_has_new_is_found_and_one_that_it_has_no_more_is_not(
    asking: Asking, issuer: Issuer
) -> None:
    http = asking(cooldown=0)
    assert (await look_up(http, token())).status_code == 404
    issuer.keys = [public_jwk("rsa 2")]
    assert (await look_up(http, token("rsa 2"))).status_code == 404
    assert (await look_up(http, token())).status_code == 401


@pytest.mark.container_only("each environment asks the issuer itself, and answers one request at a time")
async def test_a_flood_of_made_up_keys_makes_no_flood_of_requests_to_the_issuer(asking: Asking, issuer: Issuer) -> None:
    http = asking()
    for _ in range(5):
        answers = await asyncio.gather(*(look_up(http, token(f"no {kid}", "rsa")) for kid in range(20)))
        assert {answer.status_code for answer in answers} == {401}
    assert (await look_up(http, token())).status_code == 404
    assert issuer.requests == 1


async def test_an_issuer_that_was_never_there_is_503_and_asked_again_later(asking: Asking, issuer: Issuer) -> None:
    issuer.status = 500
    http = asking(cooldown=0.3)
    answers = [await look_up(http, token()) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {503}
    assert issuer.requests == 1
    assert answers[0].headers["Retry-After"]
    assert answers[0].json()["type"] == "urn:order-lifecycle:problem:unavailable"
    assert answers[0].json()["detail"].startswith("the issuer of tokens can't be reached now")
    assert "127.0.0.1" not in answers[0].text
    issuer.status = 200
    await asyncio.sleep(0.3)
    assert (await look_up(http, token())).status_code == 404


async def test_a_change_that_could_not_be_checked_is_said_not_to_be_made(asking: Asking, issuer: Issuer) -> None:
    issuer.stop()
    answer = await asking().post("/orders", json=body(), headers=bearer(token()))
    assert answer.status_code == 503
    assert "nothing was done" in answer.json()["detail"]


async def test_the_last_keys_of_an_issuer_that_is_away_go_on_serving(
    asking: Asking, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    http = asking(cooldown=0, AUTH_JWKS_REFRESH="0.001")
    assert (await look_up(http, token())).status_code == 404
    issuer.stop()
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            assert (await look_up(http, token())).status_code == 404
            await asyncio.sleep(0.01)
    assert "the keys that it had last go on serving" in caplog.text


async def test_a_key_that_was_withdrawn_while_nobody_asked_is_not_believed_once_more(
    asking: Asking, issuer: Issuer
) -> None:
    http = asking(AUTH_JWKS_REFRESH="0.2")
    assert (await look_up(http, token())).status_code == 404
    issuer.keys = [public_jwk("ec")]
    await asyncio.sleep(0.3)
    assert (await look_up(http, token())).status_code == 401


async def test_who_has_a_known_key_does_not_wait_for_an_issuer_that_hangs(asking: Asking, issuer: Issuer) -> None:
    http = asking(cooldown=0, AUTH_JWKS_REFRESH="4")
    assert (await look_up(http, token())).status_code == 404
    issuer.delay.clear()
    await asyncio.sleep(2.1)
    async with asyncio.timeout(3):
        for _ in range(5):
            assert (await look_up(http, token())).status_code == 404
            await asyncio.sleep(0.01)
    assert issuer.requests == 2, "one at a time"
    issuer.delay.set()


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"x" * (MAX_KEYS + 1)),
        (200, b'{"keys": [' + b'{"kty": "new"},' * MAX_KEYS + b"{}]}"),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"error": "none"}'),
        (302, None),
        (500, None),
    ],
)
async def test_an_answer_that_is_no_set_of_keys_is_as_none(
    asking: Asking, issuer: Issuer, status: int, content: bytes | None
) -> None:
    issuer.status, issuer.body = status, content
    assert (await look_up(asking(), token())).status_code == 503


@pytest.mark.parametrize(
    "published",
    [
        public_jwk("rsa", use="enc"),
        public_jwk("rsa", alg="RS512"),
        public_jwk("rsa", alg="ES256"),
        public_jwk("rsa", kty="EC"),
        {"kty": "oct", "kid": "rsa", "alg": "RS256", "k": "c2VjcmV0"},
        private_jwk("rsa"),
    ],
    ids=["for encryption", "another algorithm", "a wrong algorithm", "a wrong kind", "a secret", "a private key"],
)
async def test_a_key_is_used_for_what_it_is_published_for(
    asking: Asking, issuer: Issuer, published: dict[str, Any]
) -> None:
    issuer.keys = [published, public_jwk("ec"), {"kty": "of tomorrow", "kid": "new"}]
    http = asking()
    assert (await look_up(http, token())).status_code == 401
    assert (await look_up(http, token("ec"))).status_code == 404


async def test_a_key_that_is_too_short_to_be_safe_is_not_believed(asking: Asking, issuer: Issuer) -> None:
    issuer.keys = [public_jwk("short")]
    with pytest.warns(match="1024 bits"):
        shown = token("short")
    assert (await look_up(asking(), shown)).status_code == 401


def test_keys_that_came_while_a_process_was_frozen_count(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "FETCH_TIMEOUT", timedelta(seconds=0.3))
    keys = IssuerKeys(issuer.url, refresh=timedelta(seconds=0.2), cooldown=timedelta(0))

    async def is_known() -> bool:
        # Whoever has a key that is known does not wait for a newer one.
        return await keys.get("rsa", "RS256") is not None

    with closing(asyncio.new_event_loop()) as loop:
        assert loop.run_until_complete(is_known())
        issuer.keys = [public_jwk("ec")]
        issuer.delay.clear()
        time.sleep(0.12)
        assert loop.run_until_complete(is_known())
        loop.run_until_complete(asyncio.sleep(0.01))
        # Frozen: the answer comes, and the time for it passes, while nobody looks.
        issuer.delay.set()
        time.sleep(0.5)
        loop.run_until_complete(asyncio.sleep(0.05))
        assert not loop.run_until_complete(is_known())
