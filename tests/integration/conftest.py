"""A Stripe for the tests of its adapter, and certificates for those of encrypted connections."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.stripe_server import (
    API_KEY,
    StripeServer,
)
from tests.tls import Certificates
from workers.gateways.stripe import StripePayments


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"), "ours")


@pytest.fixture(scope="session")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"), "theirs")


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
