"""Who asks, and what they may: bearer tokens (RFC 6750) that are signed JWTs (RFC 7519, RFC 9068), read by PyJWT."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
import unicodedata
import urllib.request
from collections.abc import Mapping
from contextvars import Context
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import jwt

from orders.errors import DependencyUnavailable, OrderError
from orders.model import ANONYMOUS, RESERVED_ACTORS
from orders.settings import AuthSettings

ALGORITHMS = ("RS256", "ES256")
"""How a token may be signed: by a key pair only, so that what is public can make none (RFC 8725, section 3.1)."""
CLAIMS = ("exp", "iss", "aud", "sub")
MAX_SUBJECT = 255
"""The longest subject, in characters (OpenID Connect Core 1.0, section 2)."""
MAX_KEYS = 256 * 1024
"""The largest set of keys that is read, in bytes."""
FETCH_TIMEOUT = timedelta(seconds=5)
COOLDOWN = timedelta(seconds=5)
"""The shortest time between two requests to the issuer, whatever tokens come and whatever it answers."""
logger = logging.getLogger(__name__)


class Scope(StrEnum):
    """What a caller may do."""

    READ = "orders:read"
    WRITE = "orders:write"
    REVIEW = "orders:review"
    OPERATE = "orders:operate"


class Unauthenticated(OrderError):
    """Nobody has said who asks, or nobody that can be believed; the text says why."""

    def __init__(self, reason: str, is_token_wrong: bool = True) -> None:
        super().__init__(reason)
        error = f', error="invalid_token", error_description="{reason}"' if is_token_wrong else ""
        self.challenge = f'Bearer realm="orders"{error}'


class Forbidden(OrderError):
    """Who asks may do other things, but not this; the text names the scopes of which one is needed."""

    def __init__(self, needed: list[str]) -> None:
        super().__init__(f"this needs the scope {' or '.join(needed)}")
        self.challenge = f'Bearer realm="orders", error="insufficient_scope", scope="{" ".join(needed)}"'


class IssuerUnavailable(DependencyUnavailable):
    """The keys of the issuer can't be had, so no token can be checked; nothing was done."""

    def __init__(self) -> None:
        super().__init__("the issuer of tokens", "its keys were never had")


Claims = Mapping[str, Any]
"""What a token says (RFC 7519, section 4)."""


class Pass(NamedTuple):
    """Who asks, and what they may do."""

    subject: str
    scopes: frozenset[Scope]

    def check(self, needed: list[str]) -> None:
        """Let pass who has one of the scopes that are needed.

        Raises:
            Forbidden: they have none of them.
        """
        if self.scopes.isdisjoint(needed):
            raise Forbidden(needed)


class Gatekeeper:
    """Lets in whoever shows a token of the issuer, or whom the gateway knows, or, where that is said, anybody."""

    def __init__(self, settings: AuthSettings, cooldown: timedelta = COOLDOWN) -> None:
        self._settings = settings
        self._keys = IssuerKeys(settings.jwks_url, settings.jwks_refresh, cooldown) if settings.jwks_url else None
        self.is_open = settings.mode == "none"

    async def admit(self, token: str | None, vouched: Claims | None = None) -> Pass:
        """Say who asks, and what they may do.

        ``vouched`` is what a gateway in front has read from a token that it has checked itself: it is believed where
        the settings say so, and has to agree with our own check elsewhere.

        Raises:
            Unauthenticated: there is no token, or it can't be believed.
            IssuerUnavailable: it can't be checked.
        """
        if self.is_open:
            return Pass(ANONYMOUS, frozenset(Scope))
        if self._settings.mode == "gateway":
            return _pass_by(self._vouched(vouched))
        if token is None:
            raise Unauthenticated("this needs a token: write Authorization: Bearer TOKEN", is_token_wrong=False)
        try:
            claims = await self._checked(token)
        except jwt.PyJWTError as error:
            raise Unauthenticated(_reason(error)) from error
        if vouched is not None and vouched.get("sub") != claims["sub"]:
            raise Unauthenticated("the token is another subject's than the gateway has let in")
        return _pass_by(claims)

    def _vouched(self, claims: Claims | None) -> Claims:
        """Return what the gateway vouches for, as far as the settings leave that to it."""
        if not claims or not isinstance(claims.get("sub"), str):
            raise Unauthenticated("the gateway names nobody: a JWT authorizer has to stand in front of this")
        if self._settings.issuer and claims.get("iss") != self._settings.issuer:
            raise Unauthenticated("the token is of another issuer")
        # An access token of Amazon Cognito has no audience, but the client that it was made for.
        audiences = {*_listed(claims.get("aud")), *_listed(claims.get("client_id"))}
        if self._settings.audience and audiences.isdisjoint(self._settings.audience):
            raise Unauthenticated("the token is for another audience")
        return claims

    async def _checked(self, token: str) -> Claims:
        assert self._keys
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
        name, now = (kid, algorithm), time.monotonic()
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
            async with asyncio.timeout(FETCH_TIMEOUT.total_seconds()):
                self._known = _usable(await asyncio.to_thread(_download, self._url))
        except Exception as error:  # whatever the issuer answers, it must not lock out those whose keys are known
            stays = "no token can be checked" if self._known is None else "the keys that it had last go on serving"
            logger.warning("AUTH_JWKS_URL gives no keys (%s: %s): %s", type(error).__name__, error, stays)
            self._due = self._earliest = time.monotonic() + self._cooldown
            self._expiry = math.inf
        else:
            now = time.monotonic()
            self._earliest = now + self._cooldown
            self._due, self._expiry = now + self._refresh / 2, now + self._refresh


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


def _pass_by(claims: Claims) -> Pass:
    subject: str = claims["sub"]
    if not _is_nameable(subject):
        raise Unauthenticated("the subject of the token is not one that can be put on record")
    return Pass(subject, _scopes(claims))


def _is_nameable(subject: str) -> bool:
    if not (0 < len(subject) <= MAX_SUBJECT and subject.isprintable() and subject == subject.strip()):
        return False
    return unicodedata.normalize("NFKC", subject).casefold().strip() not in RESERVED_ACTORS


def _scopes(claims: Claims) -> frozenset[Scope]:
    # ``scope`` is RFC 9068's, ``scp`` that of issuers that are older.
    names = _listed(claims.get("scope", claims.get("scp")))
    return frozenset(scope for scope in Scope if scope in names)


def _listed(given: Any) -> list[Any]:
    """Read several words, however they are written."""
    return given.split() if isinstance(given, str) else given if isinstance(given, list) else []


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
