"""What a gateway's own authorizer says of a caller counts beside our own check, and instead of it where that is set."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from api.app import create_app
from api.auth import Gatekeeper
from api.dependencies import Services
from api.function import Function
from orders.errors import InvalidSetting
from orders.policy import Policy
from orders.settings import ApiSettings, AuthSettings, LambdaSettings, load
from tests.api.conftest import NO_REVIEW, bearer
from tests.examples import new_id
from tests.function.answers import Answer
from tests.function.events import Asked, Gateway, HttpApi, RestApi
from tests.issuer import AUDIENCE, ISSUER, Issuer, token
from tests.unit.test_function import context

CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "shop-frontend", "scope": "orders:read"}
Ask = Callable[..., Answer]
HTTP_API: Gateway = HttpApi()
AUTHORIZERS = pytest.mark.parametrize("gateway", [HTTP_API, RestApi()], ids=["jwt", "cognito"])


@pytest.fixture
def ask(services_with: Callable[[Policy], Services]) -> Iterator[Callable[[AuthSettings], Ask]]:
    """Asks a function for an order that isn't there: 404 says that the caller was let in."""
    with ExitStack() as made:

        def of(settings: AuthSettings) -> Ask:
            loop = made.enter_context(closing(asyncio.new_event_loop()))
            app = create_app(load(ApiSettings), services_with(NO_REVIEW), Gatekeeper(settings.for_function()))
            function = Function(app, load(LambdaSettings), loop)

            def answer(
                claims: dict[str, Any] | None,
                shown: str = "",
                gateway: Gateway = HTTP_API,
                method: str = "GET",
            ) -> Answer:
                headers = (*bearer(shown).items(), ("Content-Type", "application/json"))
                asked = Asked(method, f"/orders/{new_id()}", "", headers if shown else (), claims=claims)
                return gateway.answer(function(gateway.event(asked), context()), asked)

            return answer

        yield of


def believing(**settings: str) -> AuthSettings:
    return load(AuthSettings, AUTH_MODE="gateway", **settings)


@AUTHORIZERS
async def test_whom_the_gateway_names_is_let_in_without_a_token_where_that_is_set(
    ask: Callable[[AuthSettings], Ask], gateway: Gateway
) -> None:
    def asked() -> list[int]:
        asking = ask(believing())
        return [asking(CLAIMS, gateway=gateway).status, asking(None, gateway=gateway).status]

    assert await asyncio.to_thread(asked) == [404, 401]


async def test_they_may_do_what_their_scopes_allow_and_no_more(ask: Callable[[AuthSettings], Ask]) -> None:
    def asked() -> list[int]:
        asking = ask(believing())
        scopes: list[Any] = ["orders:write", ["orders:operate", "orders:read"], "orders:reading", None]
        return [asking({**CLAIMS, "scope": scope}).status for scope in scopes]

    assert await asyncio.to_thread(asked) == [403, 404, 403, 403]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://another.example/"}, "of another issuer"),
        ({"aud": "another"}, "for another audience"),
        ({"aud": "another", "client_id": AUDIENCE}, "for another audience"),
        ({"sub": None}, "has no subject"),
        ({"sub": "system"}, "not one that can be put on record"),
    ],
)
async def test_a_gateway_that_lets_in_others_than_was_meant_is_not_believed(
    ask: Callable[[AuthSettings], Ask], changes: dict[str, Any], reason: str
) -> None:
    settings = believing(AUTH_ISSUER=ISSUER, AUTH_AUDIENCE=AUDIENCE)
    answer = await asyncio.to_thread(lambda: ask(settings)(CLAIMS | changes))
    assert (answer.status, reason in json.loads(answer.body)["detail"]) == (401, True)


async def test_an_access_token_of_cognito_is_for_its_client(ask: Callable[[AuthSettings], Ask]) -> None:
    claims = {**CLAIMS, "aud": None, "client_id": AUDIENCE}
    answer = await asyncio.to_thread(lambda: ask(believing(AUTH_AUDIENCE=AUDIENCE))(claims, gateway=RestApi()))
    assert answer.status == 404


async def test_elsewhere_the_token_is_checked_whatever_the_gateway_says(
    ask: Callable[[AuthSettings], Ask], issuer: Issuer
) -> None:
    def asked() -> list[int]:
        asking = ask(issuer.settings())
        good, expired = token(), token(seconds=-3600)
        given = [(CLAIMS, good), (None, good), (CLAIMS, ""), (CLAIMS, expired), ({**CLAIMS, "sub": "ann"}, good)]
        return [asking(claims, shown).status for claims, shown in given]

    assert await asyncio.to_thread(asked) == [404, 404, 401, 401, 401]


def test_a_container_has_no_gateway_that_it_could_believe() -> None:
    with pytest.raises(InvalidSetting, match=r"^AUTH_MODE: gateway is for AWS Lambda"):
        believing().for_api_at("127.0.0.1")


def test_a_function_lets_in_nobody_unasked_unless_that_is_meant() -> None:
    with pytest.raises(InvalidSetting, match="AUTH_MODE: none lets anybody do anything"):
        load(AuthSettings).for_function()
    assert load(AuthSettings, AUTH_NONE_I_MEAN_IT="true").for_function().mode == "none"
