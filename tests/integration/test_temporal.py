"""A Temporal that encrypts, each way of asking it, and what is said when that fails."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from orders.errors import DependencyUnavailable
from orders.settings import TemporalSettings, load
from orders.temporal import connect, ping
from tests.tls import Certificates, front

Settings = Callable[..., TemporalSettings]


def reach() -> socket.socket:
    host, _, port = os.environ["TESTS_TEMPORAL_ADDRESS"].partition(":")
    return socket.create_connection((host, int(port)))


def reach_one_who_knows_nobody() -> socket.socket:
    """A server that answers the first request with the gRPC status 16, "unauthenticated", and nothing else."""
    near, far = socket.socketpair()

    def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
        # RFC 9113, section 4.1.
        return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload

    def answer() -> None:
        asked = b""
        # The client's preface has its settings; a frame of headers (1) opens the first stream.
        while struct.pack("!BBI", 1, 4, 1) not in asked:
            asked += far.recv(65536)
        # RFC 7541: status 200 is the entry 8 of the static table, others are written out.
        status = b"\x88" + b"".join(
            b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
            for name, value in ((b"content-type", b"application/grpc"), (b"grpc-status", b"16"))
        )
        far.sendall(frame(1, 5, 1, status))
        while far.recv(65536):
            pass
        far.close()

    far.sendall(frame(4, 0, 0))
    threading.Thread(target=answer, daemon=True).start()
    return near


@pytest.fixture(scope="module")
def ports(ours: Certificates) -> Iterator[dict[str, int]]:
    """Where servers listen: as for PostgreSQL, and one that encrypts and knows nobody."""
    with (
        front(reach, ours.server("127.0.0.1")) as encrypted,
        front(reach, ours.server("temporal.example")) as renamed,
        front(reach, ours.server("127.0.0.1", expired=True)) as expired,
        front(reach, ours.server("127.0.0.1", wants_certificates=True)) as strict,
        front(reach_one_who_knows_nobody, ours.server("127.0.0.1")) as forbidding,
        front(reach, None) as plain,
    ):
        yield {
            "encrypted": encrypted,
            "renamed": renamed,
            "expired": expired,
            "strict": strict,
            "forbidding": forbidding,
            "plain": plain,
        }


@pytest.fixture(scope="module")
def settings(ports: dict[str, int], ours: Certificates, theirs: Certificates) -> Settings:
    files = {"ours": ours.ca, "theirs": theirs.ca, "our cert": ours.cert, "our key": ours.key}
    files |= {"their cert": theirs.cert, "their key": theirs.key}
    names = {
        "ca": "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        "name": "TEMPORAL_TLS_SERVER_NAME",
        "cert": "TEMPORAL_TLS_CLIENT_CERT_PATH",
        "key": "TEMPORAL_TLS_CLIENT_KEY_PATH",
        "tls": "TEMPORAL_TLS",
        "api_key": "TEMPORAL_API_KEY",
    }

    def settings(server: str, given: dict[str, str]) -> TemporalSettings:
        said = {names[name]: str(files.get(value, value)) for name, value in given.items()}
        return load(TemporalSettings, TEMPORAL_ADDRESS=f"127.0.0.1:{ports[server]}", **said)

    return settings


@pytest.mark.parametrize(
    ("server", "given"),
    [
        ("plain", {}),
        ("plain", {"tls": "false"}),
        ("encrypted", {"ca": "ours"}),
        ("encrypted", {"ca": "ours", "api_key": "a-key-of-the-shop"}),
        ("renamed", {"ca": "ours", "name": "temporal.example"}),
        ("strict", {"ca": "ours", "cert": "our cert", "key": "our key"}),
    ],
)
async def test_a_server_is_reached_as_the_settings_say(settings: Settings, server: str, given: dict[str, str]) -> None:
    client = await connect(settings(server, given))
    await ping(client, timedelta(seconds=5))
    assert client.api_key == given.get("api_key")


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("server", "given", "reason"),
    [
        ("encrypted", {"tls": "true"}, "is not trusted: see TEMPORAL_TLS_SERVER_CA_CERT_PATH"),
        ("encrypted", {"ca": "theirs"}, "is not trusted: see TEMPORAL_TLS_SERVER_CA_CERT_PATH"),
        ("expired", {"ca": "ours"}, "is not trusted: see TEMPORAL_TLS_SERVER_CA_CERT_PATH"),
        ("renamed", {"ca": "ours"}, "for another name: see TEMPORAL_ADDRESS and TEMPORAL_TLS_SERVER_NAME"),
        ("strict", {"ca": "ours"}, "see .*TEMPORAL_TLS_CLIENT_CERT_PATH"),
        ("strict", {"ca": "ours", "cert": "their cert", "key": "their key"}, "see .*TEMPORAL_TLS_CLIENT_CERT_PATH"),
        (
            "forbidding",
            {"ca": "ours", "api_key": "a-key-of-another"},
            "does not know this client: see TEMPORAL_API_KEY",
        ),
        ("plain", {"ca": "ours"}, "the server does not encrypt: see TEMPORAL_TLS"),
        ("encrypted", {}, "breaks off the connection: see TEMPORAL_TLS"),
    ],
)
async def test_a_server_that_is_not_is_unavailable_for_a_reason_that_names_the_setting(
    settings: Settings, server: str, given: dict[str, str], reason: str, lazy: bool
) -> None:
    with pytest.raises(DependencyUnavailable, match=reason) as refused:
        await ping(await connect(settings(server, given), lazy=lazy), timedelta(seconds=5))
    assert "\n" not in str(refused.value)
