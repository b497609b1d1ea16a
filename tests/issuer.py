"""An issuer of tokens: it signs them, and serves its public keys (JWKS, RFC 7517) by HTTP on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from orders.settings import AuthSettings, load

ISSUER = "https://issuer.example/"
AUDIENCE = "orders-api"
ALL_SCOPES = "orders:read orders:write orders:review orders:operate"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def private_key(kid: str) -> PrivateKey:
    """The same for the same name: ``ec…`` for ES256, any other for RS256."""
    if kid.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=1024 if kid == "short" else 2048)


def private_jwk(kid: str) -> dict[str, Any]:
    key = private_key(kid)
    if isinstance(key, rsa.RSAPrivateKey):
        written = RSAAlgorithm.to_jwk(key, as_dict=True)
    else:
        written = ECAlgorithm.to_jwk(key, as_dict=True)
    return {name: value for name, value in written.items() if name != "key_ops"} | {"kid": kid, "use": "sig"}


def public_jwk(kid: str, **changes: Any) -> dict[str, Any]:
    public = ("kty", "kid", "use", "n", "e", "crv", "x", "y")
    return {name: value for name, value in private_jwk(kid).items() if name in public} | changes


def token(
    kid: str = "rsa", signed_by: str | None = None, algorithm: str | None = None, seconds: int = 60, **changes: Any
) -> str:
    """A good one, but for what is said; a claim that is None is left out."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "shop-frontend",
        "iat": now,
        "exp": now + seconds,
        "scope": ALL_SCOPES,
        **changes,
    }
    given = {name: value for name, value in claims.items() if value is not None}
    algorithm = algorithm or ("ES256" if kid.startswith("ec") else "RS256")
    return jwt.encode(given, private_key(signed_by or kid), algorithm, {"kid": kid})


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    """A token that PyJWT refuses to make."""
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in (header, claims)]
    signature = hmac.new(secret, b".".join(parts), hashlib.sha256).digest() if secret else b""
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def forged(algorithm: str, secret: bytes | None = None) -> str:
    part = token().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return by_hand({"alg": algorithm, "kid": "rsa"}, claims, secret)


def public_pem() -> bytes:
    return private_key("rsa").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Issuer:
    """Its key server; what it publishes, and how it answers, can be changed while it runs."""

    def __init__(self) -> None:
        self.keys = [public_jwk("rsa"), public_jwk("ec")]
        self.body: bytes | None = None
        self.status = 200
        self.delay = threading.Event()
        self.delay.set()
        self.requests = 0
        handler = type("Handler", (_Handler,), {"issuer": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def settings(self, **changes: str) -> AuthSettings:
        given = {
            "AUTH_MODE": "jwt",
            "AUTH_ISSUER": ISSUER,
            "AUTH_AUDIENCE": f"another-api,{AUDIENCE}",
            "AUTH_JWKS_URL": self.url,
        }
        return load(AuthSettings, **given | changes)

    def stop(self) -> None:
        """Nothing listens there any more; twice is once."""
        self.delay.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def issuer_of_tokens() -> Iterator[Issuer]:
    issuer = Issuer()
    try:
        yield issuer
    finally:
        issuer.stop()


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        self.issuer.requests += 1
        self.issuer.delay.wait(30)
        body = self.issuer.body or json.dumps({"keys": self.issuer.keys}).encode()
        self.send_response(self.issuer.status)
        self.send_header("Content-Length", str(len(body)))
        if self.issuer.status == 302:
            self.send_header("Location", f"{self.issuer.url}/elsewhere")
            self.issuer.status = 200
        # Who has read enough of it goes away.
        with suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write nothing."""
