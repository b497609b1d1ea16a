"""What customers, reviewers and carriers will do, drawn from a seed: orders of every kind, and changes of mind."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]
REVIEWED_ABOVE = 50_000
"""The total, in minor units, above which a person has to decide: REVIEW_THRESHOLD of the system."""
HOME = {"street": "123 Main St", "city": "Anytown", "state": "CA", "country": "US"}
NOWHERE = {"street": "1 Research Rd", "city": "McMurdo", "country": "AQ"}
WHAT_THERE_IS = {"take_available": True}
SOON, LATEST = 1.0, 5.0
"""How long, in seconds, a message may take after an order has come so far, and after it was placed."""


@dataclass(frozen=True)
class Message:
    """Something that is told of an order, ``after`` so many seconds, under a key.

    They are counted from when the order has the status ``when``, or is ``stuck``, or, without one, was placed.
    """

    after: float
    when: str | None
    kind: str
    key: str
    body: Body


@dataclass(frozen=True)
class Customer:
    """Places an order under a key, and has messages sent."""

    story: str
    key: str
    order: Body
    messages: Sequence[Message]


class Writer:
    """Invents customers; the same seed invents the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def customer(self) -> Customer:
        """Invent the next one."""
        stories = list(STORIES)
        (story,) = self._random.choices(stories, [STORIES[each][0] for each in stories])
        changes, messages = STORIES[story][1](self)
        name = f"customer{self._random.randrange(200)}"
        order = {
            "customer_name": name,
            "customer_email": f"{name}@example.com",
            "items": self._items(),
            "shipping_address": HOME,
            **changes,
        }
        return Customer(story, self._key(), order, messages)

    def message(self, kind: str, when: str | None = None, body: Body | None = None) -> Message:
        """Invent a message: soon after the order has come so far, or at any moment."""
        after = self._random.uniform(0, SOON if when else LATEST)
        return Message(after, when, kind, self._key(), body or {})

    def another_method(self, when: str = "payment_failed") -> list[Message]:
        """Offer one, once it is asked for."""
        return [self.message("payment/retry", when, {"payment_method": "tok_mastercard"})]

    def address(self) -> dict[str, str]:
        return {**HOME, "street": f"{self._random.randrange(1, 999)} Market St"}

    def mixed(self) -> list[Message]:
        """Change the mind about several things, none of which may be possible any more."""
        kinds: list[Callable[[], Message]] = [
            lambda: self.message("cancel", body={"reason": "ordered twice"}),
            lambda: self.message("shipping-address", body=self.address()),
            lambda: self.message("payment/cancel", body={"reason": "the wrong card"}),
            lambda: self.message("payment/retry", body={"payment_method": "tok_amex"}),
            lambda: self.message("review", body={"decision": self._random.choice(["approve", "reject"])}),
            lambda: self.message("amend", body=WHAT_THERE_IS),
        ]
        return [self._random.choice(kinds)() for _ in range(self._random.randint(2, 5))]

    def decision(self) -> list[Message]:
        """Have a person decide, or forget to."""
        decision = self._random.choice(["approve", "approve", "reject", ""])
        return [self.message("review", "in_review", {"decision": decision})] if decision else []

    def answer_to_shortage(self) -> list[Message]:
        """Take what there is, take less, give up, or say nothing."""
        answers: list[list[Message]] = [
            [self.message("amend", "awaiting_customer", WHAT_THERE_IS)],
            [self.message("amend", "awaiting_customer", {"items": [{"sku": "GONE", "qty": 0}]})],
            [self.message("cancel", "awaiting_customer", {"reason": "too little"})],
            [],
        ]
        return self._random.choice(answers)

    def news(self) -> list[Message]:
        """Have the carrier tell of the parcel, twice and in any order."""
        end = self._random.choice(["delivered", "delivered", "lost", "returned"])
        news = [self.message("carrier", "shipped", {"status": status}) for status in ("in_transit", end)]
        return [*news, *news]

    def scarce(self) -> list[dict[str, Any]]:
        sku, pieces = self._random.choice([("SCARCE", 2), ("GONE", 1)])
        return [{"sku": "MUG", "qty": 1, "price": "12.50"}, {"sku": sku, "qty": pieces, "price": "5.00"}]

    def _items(self) -> list[dict[str, Any]]:
        articles = self._random.sample(["ABC123", "MUG", "MUG-BLUE"], self._random.randint(1, 3))
        return [{"sku": sku, "qty": self._random.randint(1, 3), "price": "12.50"} for sku in articles]

    def _key(self) -> str:
        return self._random.randbytes(16).hex()


Plot = Callable[[Writer], tuple[dict[str, Any], list[Message]]]
STORIES: Mapping[str, tuple[int, Plot]] = {
    "plain": (28, lambda _: ({}, [])),
    "answer lost": (6, lambda _: ({"payment_method": "tok_answer_lost"}, [])),
    "declined": (2, lambda _: ({"payment_method": "tok_declined"}, [])),
    "declined, then paid": (6, lambda writer: ({"payment_method": "tok_declined"}, writer.another_method())),
    "declined on dispatch, then paid": (
        4,
        lambda writer: ({"payment_method": "tok_capture_declined"}, writer.another_method("stuck")),
    ),
    "scarce": (6, lambda writer: ({"items": writer.scarce()}, writer.answer_to_shortage())),
    "unknown article": (2, lambda _: ({"items": [{"sku": "UNICORN", "qty": 1, "price": "1.00"}]}, [])),
    "refused by the carrier": (3, lambda _: ({"shipping_address": NOWHERE}, [])),
    "refused by the carrier, then sent elsewhere": (
        3,
        lambda writer: (
            {"shipping_address": NOWHERE},
            [writer.message("shipping-address", "fulfilling", writer.address())],
        ),
    ),
    "reviewed": (
        8,
        lambda writer: ({"items": [{"sku": "ABC123", "qty": 6, "price": "99.99"}]}, writer.decision()),
    ),
    "cancelled": (6, lambda writer: ({}, [writer.message("cancel", body={"reason": "changed my mind"})])),
    "cancelled late": (
        4,
        lambda writer: ({}, [writer.message("cancel", "fulfilling", {"reason": "changed my mind"})]),
    ),
    "sent elsewhere": (6, lambda writer: ({}, [writer.message("shipping-address", body=writer.address())])),
    "payment called off": (
        4,
        lambda writer: (
            {},
            [writer.message("payment/cancel", body={"reason": "the wrong card"}), *writer.another_method()],
        ),
    ),
    "told by the carrier": (4, lambda writer: ({}, writer.news())),
    "several changes": (8, lambda writer: ({}, writer.mixed())),
}
"""What becomes of orders: how often of 100, and what is told of each."""
