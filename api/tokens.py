"""Tokens that say who asks: signed JWTs (RFC 7519, RFC 9068), read by PyJWT, and the keys of their issuer."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
import urllib.request
from collections.abc import Callable
from contextvars import Context
from datetime import timedelta
from typing import Any

import jwt

from api.auth import Claims, IssuerUnavailable, Unauthenticated
from orders.settings import AuthSettings

ALGORITHMS = ("RS256", "ES256")
"""How a token may be signed: by a key pair only, so that what is public can make none (RFC 8725, section 3.1)."""
CLAIMS = ("exp", "iss", "aud", "sub")
MAX_KEYS = 256 * 1024
"""The largest set of keys that is read, in bytes."""
FETCH_TIMEOUT = timedelta(seconds=5)
logger = logging.getLogger(__name__)


class Tokens:
    """Reads tokens, and believes those that the issuer has signed."""

    def __init__(self, settings: AuthSettings, cooldown: timedelta) -> None:
        assert settings.jwks_url
        self._settings = settings
        self._keys = IssuerKeys(settings.jwks_url, settings.jwks_refresh, cooldown)

    async def read(self, token: str) -> Claims:
        """Return what a token says.

        Raises:
            Unauthenticated: it can't be believed.
            IssuerUnavailable: it can't be checked.
        """
        try:
            return await self._checked(token)
        except jwt.PyJWTError as error:
            raise Unauthenticated(_reason(error)) from error

    async def _checked(self, token: str) -> Claims:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise Unauthenticated(f"the token is not signed by {' or '.join(ALGORITHMS)}")
        # PyJWT verifies by the key's own algorithm, and refuses a token that says another.
        key = await self._keys.get(header.get("kid"), header["alg"])
        if key is None:
            raise Unauthenticated("the token is signed with no key of its issuer")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            issuer=self._settings.issuer,
            audience=self._settings.audience,
            leeway=self._settings.clock_skew,
            options={"require": list(CLAIMS), "enforce_minimum_key_length": True},
        )
        return claims


Name = tuple[str | None, str]
"""What a token says of the key that it is signed with: the ``kid``, which may be missing, and the algorithm."""


class IssuerKeys:
    """The issuer's public keys (JWKS, RFC 7517), asked for anew now and then and when a token names an unknown one.

    One request is under way at a time. Keys are asked for anew after half of ``refresh``, and until its end nobody who
    has a key that is known waits for that. While the issuer is away the keys that it had last go on serving.

    Times are by the wall clock, since the monotonic one may stand still while a process is frozen.
    """

    def __init__(self, url: str, refresh: timedelta, cooldown: timedelta) -> None:
        self._url = url
        self._refresh, self._cooldown = refresh.total_seconds(), cooldown.total_seconds()
        self._known: dict[Name, jwt.PyJWK] | None = None
        self._earliest = self._due = self._expiry = 0.0
        self._fetching: asyncio.Task[None] | None = None

    async def get(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Find a key; None if the issuer has no such key.

        Raises:
            IssuerUnavailable: it has never said which it has.
        """
        name, now = (kid, algorithm), time.time()
        is_known = self._known is not None and name in self._known
        is_idle = self._fetching is None or self._fetching.done()
        if is_idle and now >= (self._due if is_known else self._earliest):
            # In no request's context: it is part of nobody's trace, and of nobody's deadline.
            self._fetching = asyncio.create_task(self._fetch(), context=Context())
        if self._fetching and not (is_known and now < self._expiry):
            # A caller that goes away must not take the others' answer along.
            await asyncio.shield(self._fetching)
        if self._known is None:
            raise IssuerUnavailable
        return self._known.get(name)

    async def _fetch(self) -> None:
        try:
            self._known = _usable(await _in_time(_download, self._url))
        except Exception as error:  # whatever the issuer answers, it must not lock out those whose keys are known
            stays = "no token can be checked" if self._known is None else "the keys that it had last go on serving"
            logger.warning("AUTH_JWKS_URL gives no keys (%s: %s): %s", type(error).__name__, error, stays)
            self._due = self._earliest = time.time() + self._cooldown
            self._expiry = math.inf
        else:
            now = time.time()
            self._earliest = now + self._cooldown
            self._due, self._expiry = now + self._refresh / 2, now + self._refresh


async def _in_time(download: Callable[[str], Any], url: str) -> Any:
    """Return what is downloaded within the time for it; or what has come meanwhile, if the process was frozen so long.

    Raises:
        TimeoutError: it has not come.
    """
    # `asyncio.timeout` would throw away what is there when both are noticed at once.
    under_way = asyncio.get_running_loop().run_in_executor(None, download, url)
    await asyncio.wait({under_way}, timeout=FETCH_TIMEOUT.total_seconds())
    if not under_way.done():
        under_way.cancel()
        raise TimeoutError
    return under_way.result()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The keys come from where the setting says, not from where that place says."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


def _download(url: str) -> Any:
    deadline = time.monotonic() + FETCH_TIMEOUT.total_seconds()
    opener = urllib.request.build_opener(_NoRedirects)
    body = b""
    with opener.open(url, timeout=FETCH_TIMEOUT.total_seconds()) as response:
        while part := response.read1(MAX_KEYS):
            body += part
            if len(body) > MAX_KEYS:
                raise ValueError(f"more than {MAX_KEYS} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError
    return json.loads(body)


def _usable(published: Any) -> dict[Name, jwt.PyJWK]:
    found = {}
    for each in published["keys"]:
        # A private key that was published is everybody's.
        if each.get("use", "sig") != "sig" or "d" in each:
            continue
        try:
            key = jwt.PyJWK(each)
        except jwt.PyJWTError:
            # Of a kind that is not known here: an issuer may have those for others (RFC 7517, section 5).
            continue
        found[key.key_id, key.algorithm_name] = key
    return found


_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidIssuerError, "the token is of another issuer"),
    (jwt.InvalidAudienceError, "the token is for another audience"),
    (jwt.MissingRequiredClaimError, f"the token lacks one of the claims {', '.join(CLAIMS)}"),
)


def _reason(error: jwt.PyJWTError) -> str:
    """Say why a token is not believed, in words that RFC 6750 allows in a header (no quotes, no backslash)."""
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "the token is not valid")
