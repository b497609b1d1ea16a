"""A Stripe for the tests of its adapter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.stripe_server import (
    API_KEY,
    StripeServer,
)
from workers.gateways.stripe import StripePayments


@pytest.fixture(scope="session")
def running() -> Iterator[StripeServer]:
    server = StripeServer()
    yield server
    server.stop()


@pytest.fixture
def stripe_server(running: StripeServer) -> StripeServer:
    running.forget()
    return running


@pytest.fixture
def payments(stripe_server: StripeServer) -> Iterator[StripePayments]:
    adapter = StripePayments(API_KEY, stripe_server.url, timedelta(seconds=10))
    yield adapter
    adapter.close()
