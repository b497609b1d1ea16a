"""``orders smoke``: what it says and does where things don't go as they should."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cli.client import ApiError, OrdersClient
from cli.smoke import SmokeTest
from tests.scripted_api import Answer, ScriptedApi

READY = Answer(200, {"status": "ready"})
WAITING = Answer(503, {"status": 503, "detail": "waiting for PostgreSQL"}, {"Retry-After": "0"})
AT = "2026-11-23T12:00:00Z"


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as found:
        yield found


def order(status: str) -> Answer:
    return Answer(200, {"id": "ord_1", "status": status})


def events(*types: str, next_: str | None = None, **data: Any) -> Answer:
    trail = [{"seq": seq, "type": type_, "at": AT, "data": data} for seq, type_ in enumerate(types, 1)]
    return Answer(200, {"data": trail, "next": next_})


def progress(waits_for: str, *errors: str) -> Answer:
    attempts = [{"last_error": error} for error in errors]
    return Answer(200, {"id": "ord_1", "waits_for": waits_for, "attempts": attempts})


def stats(**pollers: int) -> Answer:
    return Answer(200, {"queues": [{"queue": queue, "pollers": count} for queue, count in pollers.items()]})


def smoke(api: ScriptedApi, capsys: pytest.CaptureFixture[str], timeout: float = 60) -> tuple[int, dict[str, Any]]:
    """Run it, and return its exit code and what it says in the end."""
    with OrdersClient(api.url, tries=1) as client:
        code = SmokeTest(client, as_json=True, timeout=timeout).run("MUG", "pm_mine")
    assert api.answers == []
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_an_order_that_is_delivered_is_a_success(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    done = order("completed")
    api.answers = [READY, order("received"), order("received"), events("received", "completed"), done]
    code, told = smoke(api, capsys)
    assert (code, told["delivered"], told["next"]) == (0, True, None)
    body = json.loads(api.requests[1].body)
    assert body["items"] == [{"sku": "MUG", "qty": 1, "price": "1.00"}]
    assert body["payment_method"] == "pm_mine"


def test_it_waits_until_the_api_is_ready_and_gives_up_with_its_reason(
    api: ScriptedApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.smoke.REST", 0.01)
    with OrdersClient(api.url) as client:
        api.answers = [WAITING, WAITING, READY, Answer(422, {"status": 422, "detail": "no"})]
        with pytest.raises(ApiError, match="no"):
            SmokeTest(client, as_json=False, timeout=60).run("MUG", "pm_mine")
        assert capsys.readouterr().out.splitlines() == ["not ready: waiting for PostgreSQL"]
        api.answers = [WAITING]
        with pytest.raises(ApiError, match="waiting for PostgreSQL"):
            SmokeTest(client, as_json=False, timeout=0).run("MUG", "pm_mine")


def test_what_the_shop_rejects_says_why_and_how_to_name_another_article(
    api: ScriptedApi, capsys: pytest.CaptureFixture[str]
) -> None:
    end = events("rejected", reason="the shop has no MUG")
    api.answers = [READY, order("received"), order("received"), end, order("rejected")]
    code, told = smoke(api, capsys)
    assert code == 1
    assert told["detail"] == "not delivered, the order is rejected: the shop has no MUG"
    assert "--sku" in told["next"]


def test_a_payment_method_that_is_declined_is_said_and_how_to_name_another(
    api: ScriptedApi, capsys: pytest.CaptureFixture[str]
) -> None:
    declined = events("payment_declined", next_="1", reason="No such PaymentMethod")
    api.answers = [READY, order("received"), order("payment_failed"), declined, order("payment_failed")]
    api.answers += [progress("another payment method"), stats(orders=1), order("cancelled")]
    code, told = smoke(api, capsys)
    assert (code, told["status"]) == (1, "cancelled")
    assert told["next"] == (
        "pm_mine was declined (No such PaymentMethod): name one that the provider takes by --payment-method"
    )


def test_what_takes_too_long_is_cancelled_and_says_for_what_it_waits_and_who_does_not_work(
    api: ScriptedApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers = [READY, order("received"), order("paid"), events("received", next_="1"), order("paid")]
    api.answers += [progress("the payment provider", "no answer in time"), stats(orders=2, payments=0)]
    api.answers += [order("cancelled")]
    code, told = smoke(api, capsys, timeout=0)
    assert (code, told["status"]) == (1, "cancelled")
    assert told["detail"] == (
        "not delivered, the order is paid: it waits for the payment provider; no answer in time; it has been cancelled"
    )
    assert told["next"] == "start workers of payments: nobody works there"
    assert api.requests[-1].path == "/orders/ord_1/cancel"


def test_what_can_not_be_cancelled_any_more_says_so(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.answers = [READY, order("received"), order("shipped"), events("dispatched", next_="1"), order("shipped")]
    forbidden = Answer(403, {"status": 403, "detail": "this needs the scope orders:operate"})
    api.answers += [progress("the carrier"), forbidden, Answer(409, {"status": 409, "detail": "the order is shipped"})]
    code, told = smoke(api, capsys, timeout=0)
    assert code == 1
    assert "it could not be cancelled (the order is shipped)" in told["detail"]
    assert told["next"] == "look at `orders progress ord_1` and `orders stats`"


@pytest.mark.parametrize("by_person", [True, False])
def test_an_order_in_review_is_approved(api: ScriptedApi, capsys: pytest.CaptureFixture[str], by_person: bool) -> None:
    in_review = events("review_started", next_="1", until=AT, by_person=by_person)
    api.answers = [READY, order("received"), order("in_review"), in_review, order("in_review")]
    api.answers += [order("in_review"), events("completed"), order("completed")]
    assert smoke(api, capsys)[0] == 0
    assert api.requests[4].path == "/orders/ord_1/review"


def test_a_token_that_may_not_approve_is_told_where_a_person_has_to(
    api: ScriptedApi, capsys: pytest.CaptureFixture[str]
) -> None:
    forbidden = Answer(403, {"status": 403, "detail": "this needs the scope orders:review"})
    in_review = events("review_started", next_="1", until=AT, by_person=True)
    api.answers = [READY, order("received"), order("in_review"), in_review, forbidden, order("in_review")]
    api.answers += [events(next_="1"), order("in_review"), progress("a decision"), stats(orders=1), order("cancelled")]
    code, told = smoke(api, capsys)
    assert code == 1
    assert told["next"] == ("a person has to approve it, and this token may not: this needs the scope orders:review")
