"""How the server of the API leaves: nobody waits for it, and it waits for nobody in vain."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
import uvicorn
from temporalio.client import Client

from api.app import create_app
from api.process import Farewell, Server
from orders.ledger.engine import Database
from orders.policy import Policy
from tests.api.conftest import services_of
from tests.examples import new_id

PATIENCE = 5


@pytest.fixture
async def server(client: Client, database: Database) -> Server:
    """A server that has begun, on any port of the loopback."""
    app = create_app(services=services_of(client, database, Policy()))
    server = Server(uvicorn.Config(Farewell(app), port=0, log_config=None, timeout_graceful_shutdown=PATIENCE))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    return server


def connected_to(server: Server) -> socket.socket:
    client = socket.create_connection(server.servers[0].sockets[0].getsockname(), timeout=10)
    client.setblocking(False)
    return client


async def rest_of(client: socket.socket) -> bytes:
    loop, parts = asyncio.get_running_loop(), []
    async with asyncio.timeout(2 * PATIENCE):
        while part := await loop.sock_recv(client, 65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.container_only("it has no server")
async def test_a_connection_that_was_being_made_when_the_server_was_told_to_leave_does_not_hold_it(
    server: Server,
) -> None:
    with connected_to(server) as client:
        # So long that it is accepted, and not so long that uvicorn knows of it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        began, known = time.monotonic(), len(server.server_state.connections)
        leaving = asyncio.create_task(server.shutdown())
        assert (known, await rest_of(client)) == (0, b"")
        await leaving
    assert time.monotonic() - began < PATIENCE - 1


@pytest.mark.container_only("it has no server")
async def test_an_answer_that_was_under_way_comes_and_says_that_it_is_the_last_on_its_connection(
    server: Server,
) -> None:
    with connected_to(server) as client:
        # An order that is not there: after the body, which is still to come, the answer is 404.
        asked = f"POST /orders/{new_id()}/cancel HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
        await asyncio.get_running_loop().sock_sendall(client, f"{asked}Content-Length: 2\r\n\r\n".encode())
        while not server.server_state.tasks:  # noqa: ASYNC110 - the server is in this event loop
            await asyncio.sleep(0.01)
        leaving = asyncio.create_task(server.shutdown())
        await asyncio.sleep(0.05)
        await asyncio.get_running_loop().sock_sendall(client, b"{}")
        answer = await rest_of(client)
        await leaving
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nconnection: close\r\n" in answer.lower()
