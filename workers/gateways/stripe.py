"""Payments through Stripe, as cards: each authorization is one PaymentIntent.

It is created under our key without a payment method, which has no effect on money, and then confirmed with the method
under ``{key}:confirm``. So whoever holds an ``Authorize`` finds its intent by creating it again: Stripe answers the
same one. What is done next goes by the state in which the intent is now, never by an answer that Stripe has kept.

Stripe forgets a key after a day (it promises 24 hours). An order lives longer, and a creation under a forgotten key
makes another, empty intent. So where the intent under the key holds no money, those made earlier are looked for by the
key in their metadata. That search lags by a minute, in bad times by an hour: less than the day that it has to bridge.
What is left:

- ``authorize`` does not search before it takes money, since that would cost every order a request. Repeated after more
  than a day, or as long after a void, it asks anew. Stripe refuses a token or method that has paid before and is no
  customer's; then, and only then, it searches. Nobody may authorize a day after the first try, or after a void.
- Accounts in India have no search: there, what a day later holds no money under its key is ``PartnerMisuse``.
- Stripe keeps an answer 5xx with its key too: what failed so is answered so until the key is forgotten.

The rules are from Stripe's pages "Idempotent requests", "Advanced error handling", "Error codes", "PaymentIntents
lifecycle", "Search", "Refund and cancel payments" and "Supported currencies".
"""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

import stripe
from opentelemetry import baggage, context

from orders.contracts import (
    Authorization,
    Authorize,
    Capture,
    CaptureAnswer,
    Refund,
    RefundAnswer,
    Void,
    VoidAnswer,
)
from orders.errors import OrderError, PartnerMisuse, PartnerUnavailable
from orders.logs import visible
from orders.money import Money, exponent_of
from orders.telemetry.context import is_on

if TYPE_CHECKING:
    from stripe.params import PaymentIntentConfirmParams

# Otherwise the package writes an id for this machine into the home folder, and sends it along with timings.
stripe.enable_telemetry = False

THREADS = 16
"""How many calls of one process are under way at once; more wait for one to end."""

HOLDS_MONEY = frozenset({"requires_capture", "succeeded", "processing"})
"""The states of an intent that has money, or may have it in a moment."""
UNCONFIRMED = frozenset({"requires_payment_method", "requires_confirmation"})

OVERTAKEN = "payment_intent_unexpected_state"
"""The code with which Stripe refuses a step that the state of the intent, changed meanwhile, no longer allows."""
LAPSED = frozenset({OVERTAKEN, "charge_expired_for_capture", "capture_charge_authorization_expired"})
ACTION_NEEDED = frozenset({"authentication_required", "payment_intent_action_required"})

NEEDS_THE_CUSTOMER = "the payment needs the customer's authentication"
NO_METHOD = "this is no payment method that Stripe can take money by"

PADDED = frozenset({"ISK", "UGX"})
"""ISO 4217 gives them no decimals, Stripe still wants two, both 0."""
WHOLE = frozenset({"MGA"})
"""ISO 4217 gives them two decimals, Stripe none."""

R = TypeVar("R")
A = TypeVar("A")


def trace_requests() -> None:
    """Make a client span of each request, with its method, address and answer; bodies are in none."""
    from opentelemetry.instrumentation.requests import RequestsInstrumentor  # noqa: PLC0415

    import orders.conventions  # noqa: F401, PLC0415 - the instrumentation reads them when it is imported

    if not RequestsInstrumentor().is_instrumented_by_opentelemetry:
        RequestsInstrumentor().instrument()


class StripePayments:
    """Cards through Stripe's API, with keys that make each request have one effect.

    A call takes two to five requests, in each of which Stripe may be silent as long as ``timeout``. Raises, besides
    what is said at each call, ``PartnerUnavailable`` where Stripe can't be reached, is too slow, wants us slower, works
    on the same key or intent right now, or fails; ``PartnerMisuse`` where it refuses our API key, a parameter, or a key
    that was used for something else. Neither tells what was sent.
    """

    def __init__(self, api_key: str, api_base: str | None, timeout: timedelta) -> None:
        self._stripe = stripe.StripeClient(
            api_key,
            base_addresses={"api": (api_base or stripe.DEFAULT_API_BASE).rstrip("/")},
            http_client=stripe.RequestsClient(timeout=timeout.total_seconds()),
            # Temporal tries again, so that each try can be seen, and waits between them as it was told to.
            max_network_retries=0,
        )
        self._intents = self._stripe.v1.payment_intents
        if is_on():
            trace_requests()
        # The package's own async client needs httpx or aiohttp, which nothing else here does; and a thread finishes
        # what it has begun when its activity is cancelled, so that a void finds the intent settled more often.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stripe")

    def close(self) -> None:
        """Let the calls under way end, and take no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def authorize(self, request: Authorize) -> Authorization:
        """Hold the money ready, or take it at once; a declined card, or one that needs its owner, is an answer."""
        return await self._in_thread(self._authorize, request)

    async def capture(self, request: Capture) -> CaptureAnswer:
        """Take all that is held; what has lapsed (Stripe lets it go after a week) or was voided is declined."""
        return await self._in_thread(self._capture, request)

    async def void(self, request: Void) -> VoidAnswer:
        """Cancel the intent, which lets the money go, and which no later confirmation can change."""
        return await self._in_thread(self._void, request)

    async def refund(self, request: Refund) -> RefundAnswer:
        """Give back; one that Stripe has still under way counts as made.

        Raises:
            PartnerMisuse: nothing was taken; or the bank would not take the money back. The same refund asked for
                again would fail again: somebody has to find another way to the customer.
        """
        return await self._in_thread(self._refund, request)

    async def _in_thread(self, ask: Callable[[R], A], request: R) -> A:
        # The context carries the activity's span over to the thread, but not what callers of ours say to each other.
        run = contextvars.copy_context().run
        run(lambda: context.attach(baggage.clear()))
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, run, ask, request)
        except stripe.StripeError as error:
            # Not as its cause: it carries the body and the headers of the answer, which Temporal would keep.
            raise _translated(error) from None

    def _authorize(self, request: Authorize) -> Authorization:
        method = _method(request.method)
        if not method:
            return Authorization(declined=NO_METHOD)
        intent = self._under_key(request)
        if intent.status in UNCONFIRMED:
            try:
                intent = self._intents.confirm(intent.id, method, {"idempotency_key": f"{request.key}:confirm"})
            except stripe.CardError as error:
                return Authorization(declined=_said(error))
            except stripe.InvalidRequestError as error:
                if error.code == OVERTAKEN:
                    intent = self._intents.retrieve(intent.id)
                elif str(error.param).startswith("payment_method") or error.code == "token_already_used":
                    # What the customer gave us is no good, unless it is because it has paid for this very order.
                    paid = [each for each in self._earlier(request, intent.id) if each.status in HOLDS_MONEY]
                    if not paid:
                        return Authorization(declined=NO_METHOD)
                    intent = paid[0]
                else:
                    raise
        return _authorization(intent)

    def _capture(self, request: Capture) -> CaptureAnswer:
        intent = self._holding(request.authorization)
        if intent and intent.status == "requires_capture":
            try:
                intent = self._intents.capture(intent.id, options={"idempotency_key": request.key})
            except stripe.CardError as error:
                return CaptureAnswer(declined=_said(error))
            except stripe.InvalidRequestError as error:
                if error.code not in LAPSED:
                    raise
                intent = self._intents.retrieve(intent.id)
        if intent and intent.status == "succeeded":
            return CaptureAnswer(reference=intent.id)
        if intent:
            _refuse_what_is_under_way(intent)
        return CaptureAnswer(declined="the money is not held ready, or not any more")

    def _void(self, request: Void) -> VoidAnswer:
        # Each of them: an empty one that is left could still be confirmed.
        taken = sum(self._called_off(intent, request.key) for intent in self._all(request.authorization))
        currency = request.authorization.amount.currency
        return VoidAnswer(Money(_from_stripe(taken, currency), currency))

    def _called_off(self, intent: stripe.PaymentIntent, key: str) -> int:
        _refuse_what_is_under_way(intent)
        if intent.status not in {"succeeded", "canceled"}:
            try:
                intent = self._intents.cancel(intent.id, options={"idempotency_key": f"{key}:{intent.id}"})
            except stripe.InvalidRequestError as error:
                if error.code != OVERTAKEN:
                    raise
                intent = self._intents.retrieve(intent.id)
        if intent.status == "succeeded":
            return intent.amount_received
        if intent.status != "canceled":
            raise PartnerUnavailable("the payment changes at Stripe while it is called off")
        return 0

    def _refund(self, request: Refund) -> RefundAnswer:
        intent = self._holding(request.authorization)
        if intent:
            _refuse_what_is_under_way(intent)
        if not intent or intent.status != "succeeded":
            raise PartnerMisuse("nothing was taken under this authorization that could be given back")
        # The list knows refunds whose keys are forgotten, and how they stand now.
        made = self._stripe.v1.refunds.list({"payment_intent": intent.id, "limit": 100}).auto_paging_iter()
        refund = next((each for each in made if _key_of(each) == request.key), None)
        if not refund:
            refund = self._stripe.v1.refunds.create(
                {
                    "payment_intent": intent.id,
                    "amount": _to_stripe(request.amount),
                    "metadata": {"order_id": request.authorization.order_id, "key": request.key},
                },
                {"idempotency_key": request.key},
            )
        if refund.status in {"failed", "canceled"}:
            raise PartnerMisuse(f"the refund {refund.id} did not reach the customer: it has {refund.status}")
        return RefundAnswer(refund.id)

    def _under_key(self, request: Authorize) -> stripe.PaymentIntent:
        intent = self._intents.create(
            {
                "amount": _to_stripe(request.amount),
                "currency": request.amount.currency.lower(),
                "capture_method": "automatic" if request.capture else "manual",
                # Otherwise Stripe wants to know where to send the customer back to, who isn't here.
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                "metadata": {"order_id": request.order_id, "key": request.key},
            },
            {"idempotency_key": request.key},
        )
        answer = intent.last_response
        is_kept = answer is not None and answer.headers.get("Idempotent-Replayed") == "true"
        # A kept answer tells of the intent as it was when it was made.
        return self._intents.retrieve(intent.id) if is_kept else intent

    def _earlier(self, request: Authorize, but: str | None = None) -> list[stripe.PaymentIntent]:
        key = request.key.replace("\\", "\\\\").replace("'", "\\'")
        found = self._intents.search({"query": f"metadata['key']:'{key}'", "limit": 100}).data
        # The search may show them as they were a while ago.
        return [self._intents.retrieve(each.id) for each in found if each.id != but]

    def _all(self, request: Authorize) -> list[stripe.PaymentIntent]:
        try:
            intent = self._under_key(request)
        except (stripe.InvalidRequestError, PartnerMisuse):
            # It can't be made (the amount is too small, say), so it never was: a void must get through all the same.
            return self._earlier(request)
        except stripe.IdempotencyError:
            # Another release of this code has made it, with other parameters; the search finds it within minutes.
            found = self._earlier(request)
            if not found:
                raise
            return found
        return [intent] if intent.status in HOLDS_MONEY else [intent, *self._earlier(request, intent.id)]

    def _holding(self, request: Authorize) -> stripe.PaymentIntent | None:
        return next((each for each in self._all(request) if each.status in HOLDS_MONEY), None)


def _method(name: str) -> PaymentIntentConfirmParams | None:
    # What needs the customer then fails, instead of waiting for somebody who isn't there.
    if name.startswith("tok_"):
        data = {"type": "card", "card": {"token": name}}
        return cast("PaymentIntentConfirmParams", {"payment_method_data": data, "error_on_requires_action": True})
    return {"payment_method": name, "error_on_requires_action": True} if name.startswith("pm_") else None


def _authorization(intent: stripe.PaymentIntent) -> Authorization:
    _refuse_what_is_under_way(intent)
    if intent.status in HOLDS_MONEY:
        return Authorization(reference=intent.id)
    if intent.status == "requires_action":
        return Authorization(declined=NEEDS_THE_CUSTOMER)
    if intent.status == "canceled":
        return Authorization(declined="the payment was called off, or has lapsed")
    return Authorization(declined="the card was declined")


def _refuse_what_is_under_way(intent: stripe.PaymentIntent) -> None:
    if intent.status == "processing":
        raise PartnerUnavailable("Stripe does not know yet what becomes of the payment")


def _key_of(refund: stripe.Refund) -> str | None:
    return refund.metadata.to_dict().get("key") if refund.metadata else None


def _to_stripe(money: Money) -> int:
    """Give an amount in the units that Stripe counts in ("Supported currencies", "Special cases").

    Raises:
        PartnerMisuse: Stripe can't take exactly this amount.
    """
    exponent = exponent_of(money.currency)
    if money.currency in PADDED:
        return money.amount * 100
    if money.currency in WHOLE and not money.amount % 100:
        return money.amount // 100
    if money.currency in WHOLE or exponent not in {0, 2, 3} or (exponent == 3 and money.amount % 10):  # noqa: PLR2004
        raise PartnerMisuse(f"Stripe does not take {money} {money.currency}: it has more decimals than it knows there")
    return money.amount


def _from_stripe(amount: int, currency: str) -> int:
    if currency in WHOLE:
        return amount * 100
    return amount // 100 if currency in PADDED else amount


def _said(error: stripe.CardError) -> str:
    if error.code in ACTION_NEEDED:
        return NEEDS_THE_CUSTOMER
    # Stripe writes these for the customer's eyes. The ledger could not hold every character.
    return visible(error.user_message or "the card was declined")


def _translated(error: stripe.StripeError) -> OrderError:
    match error:
        case stripe.RateLimitError():
            return PartnerUnavailable("Stripe wants fewer requests, or is at work on this payment")
        case stripe.APIConnectionError():
            return PartnerUnavailable("Stripe did not answer")
        case (
            stripe.AuthenticationError()
            | stripe.PermissionError()
            | stripe.IdempotencyError()
            | stripe.InvalidRequestError()
            | stripe.CardError()
        ):
            return PartnerMisuse(_refusal(error))
    return PartnerUnavailable(f"Stripe failed with status {error.http_status}")


def _refusal(error: stripe.StripeError) -> str:
    match error:
        case stripe.AuthenticationError():
            return "Stripe does not take our API key"
        case stripe.PermissionError():
            return "our API key may not do this at Stripe"
        case stripe.IdempotencyError():
            return "Stripe knows this idempotency key from another request"
    where = f"code {error.code}, parameter {getattr(error, 'param', None)}, {error.request_id}"
    return f"Stripe refuses the request: {visible(_without_secrets(error.user_message or ''))} ({where})"


def _without_secrets(text: str) -> str:
    """Leave out keys, tokens, payment methods and client secrets, which Stripe quotes."""
    return re.sub(r"\b((?:sk|rk|pk|tok|btok|pm|src|card)_|pi_\w+_secret_)\S+", r"\1…", text)
