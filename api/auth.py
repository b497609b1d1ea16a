"""Who asks, and what they may: bearer tokens (RFC 6750)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from orders.errors import DependencyUnavailable, OrderError
from orders.model import ANONYMOUS, RESERVED_ACTORS
from orders.settings import AuthSettings

MAX_SUBJECT = 255
"""The longest subject, in characters (OpenID Connect Core 1.0, section 2)."""
COOLDOWN = timedelta(seconds=5)
"""The shortest time between two requests to the issuer, whatever tokens come and whatever it answers."""


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
        self.is_open = settings.mode == "none"
        if settings.mode == "jwt":
            from api.tokens import Tokens  # noqa: PLC0415 - 100 ms that only those pay who check tokens themselves

            self._tokens = Tokens(settings, cooldown)

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
        claims = await self._tokens.read(token)
        if vouched is not None and vouched.get("sub") != claims["sub"]:
            raise Unauthenticated("the token is another subject's than the gateway has let in")
        return _pass_by(claims)

    def _vouched(self, claims: Claims | None) -> Claims:
        """Return what the gateway vouches for, as far as the settings leave that to it."""
        if not claims:
            raise Unauthenticated("the gateway names nobody: a JWT authorizer has to stand in front of this")
        if not isinstance(claims.get("sub"), str):
            raise Unauthenticated("the token that the gateway has let in has no subject")
        if self._settings.issuer and claims.get("iss") != self._settings.issuer:
            raise Unauthenticated("the token is of another issuer")
        # An access token of Amazon Cognito has no audience, but the client that it was made for.
        audiences = _listed(claims.get("aud") or claims.get("client_id"))
        if self._settings.audience and set(audiences).isdisjoint(self._settings.audience):
            raise Unauthenticated("the token is for another audience")
        return claims


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
