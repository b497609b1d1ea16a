"""What of an OpenAPI document breaks those who rely on an earlier one of the same API.

A request that was right stays right, and an answer has what it had: a body or parameter may take more, and no less; an
answer may say more, and no less.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

COMBINED = ("oneOf",)
"""Of these one less takes less too."""
Json = dict[str, Any]
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
FORM = ("pattern", "format", "const", "multipleOf", "propertyNames", "allOf", "oneOf", "not")


def breaking_changes(before: Json, after: Json) -> list[str]:
    """Name each place, and what is wrong there."""
    return list(_Comparison(before, after).paths())


class _Comparison:
    def __init__(self, before: Json, after: Json) -> None:
        self._before, self._after = before, after
        self._seen: set[str] = set()

    def paths(self) -> Iterator[str]:
        for path, operations in self._before["paths"].items():
            for method, old in operations.items():
                where = f"{method.upper()} {path}"
                new = self._after["paths"].get(path, {}).get(method)
                if new is None:
                    yield f"{where}: is gone"
                else:
                    yield from self._operation(where, old, new)

    def _operation(self, where: str, old: Json, new: Json) -> Iterator[str]:
        if old["operationId"] != new["operationId"]:
            yield f"{where}: is called {new['operationId']}"
        enough = [json.dumps(need) for need in new.get("security", [])]
        if enough and any(json.dumps(need) not in enough for need in old.get("security", [{}])):
            yield f"{where}: wants more of its caller"
        yield from self._parameters(where, old, new)
        yield from self._body(f"{where} body", old.get("requestBody"), new.get("requestBody"))
        for status, answer in old["responses"].items():
            if status not in new["responses"]:
                yield f"{where}: never answers {status} any more"
                continue
            said = self._resolved(new["responses"][status], self._after)
            for kind, content in self._resolved(answer, self._before).get("content", {}).items():
                there = said.get("content", {}).get(kind)
                if there is None:
                    yield f"{where} {status}: has no {kind} any more"
                else:
                    yield from self._answer(f"{where} {status}", content.get("schema", {}), there.get("schema", {}))
            for name in set(self._resolved(answer, self._before).get("headers", {})) - set(said.get("headers", {})):
                yield f"{where} {status} {name}: is gone"

    def _parameters(self, where: str, old: Json, new: Json) -> Iterator[str]:
        before = {(each["in"], each["name"]): each for each in old.get("parameters", [])}
        after = {(each["in"], each["name"]): each for each in new.get("parameters", [])}
        for key, each in after.items():
            if each.get("required") and not before.get(key, {}).get("required"):
                yield f"{where} {key[1]}: has to be given"
        for key, each in before.items():
            if key not in after:
                yield f"{where} {key[1]}: is gone"
            else:
                yield from self._request(f"{where} {key[1]}", each["schema"], after[key]["schema"])

    def _body(self, where: str, old: Json | None, new: Json | None) -> Iterator[str]:
        if new and new.get("required") and not (old and old.get("required")):
            yield f"{where}: has to be given"
        for kind, content in (old or {}).get("content", {}).items():
            there = (new or {}).get("content", {}).get(kind)
            if there is None:
                yield f"{where}: is not taken as {kind} any more"
            else:
                yield from self._request(where, content["schema"], there["schema"])

    def _request(self, where: str, old: Json, new: Json) -> Iterator[str]:
        """Find what was taken and is taken no more."""
        old, new = self._resolved(old, self._before), self._resolved(new, self._after)
        if self._is_known("request", old, new):
            return
        yield from _narrowed(where, old, new)
        yield from self._each(where, old, new, self._request)
        for name in set(new.get("required", [])) - set(old.get("required", [])):
            yield f"{where}.{name}: has to be given"

    def _answer(self, where: str, old: Json, new: Json) -> Iterator[str]:
        """Find what was said and is said no more. An answer may have new values: clients are told to expect that."""
        old, new = self._resolved(old, self._before), self._resolved(new, self._after)
        if self._is_known("answer", old, new):
            return
        if not _types(new) <= _types(old):
            yield f"{where}: is of another type"
        yield from self._each(where, old, new, self._answer)
        for name in set(old.get("required", [])) - set(new.get("required", [])):
            yield f"{where}.{name}: may be left out"

    def _each(self, where: str, old: Json, new: Json, compare: Any) -> Iterator[str]:
        for name, schema in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{where}.{name}: is gone"
            else:
                yield from compare(f"{where}.{name}", schema, new["properties"][name])
        if "items" in old and "items" in new:
            yield from compare(f"{where}[]", old["items"], new["items"])
        for schema, there in zip(old.get("anyOf", []), new.get("anyOf", []), strict=False):
            yield from compare(where, schema, there)

    def _resolved(self, schema: Json, document: Json) -> Json:
        while reference := schema.get("$ref"):
            _, components, kind, name = reference.split("/")
            schema = document[components][kind][name]
        return schema

    def _is_known(self, direction: str, old: Json, new: Json) -> bool:
        key = f"{direction} {json.dumps([old, new], sort_keys=True)}"
        is_known = key in self._seen
        self._seen.add(key)
        return is_known


def _narrowed(where: str, old: Json, new: Json) -> Iterator[str]:
    if not _types(old) <= _types(new):
        yield f"{where}: is of another type"
    for name in (*UPPER, *LOWER, *FORM):
        if (name in new or (name in COMBINED and name in old)) and _is_less(name, old.get(name), new.get(name)):
            yield f"{where}: {name} is {new.get(name)}"
    if "enum" in new and not set(old.get("enum", [object])) <= set(new["enum"]):
        yield f"{where}: knows less values"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield f"{where}: takes no other fields"


def _is_less(name: str, old: Any, new: Any) -> bool:
    if name in FORM or old is None or new is None:
        return bool(new != old)
    return bool(new < old if name in UPPER else new > old)


def _types(schema: Json) -> set[str]:
    """The JSON types that a schema lets pass; all where it names none."""
    if "anyOf" in schema:
        return {each for part in schema["anyOf"] for each in (_types(part) if "$ref" not in part else {"object"})}
    found = schema.get("type", ["array", "boolean", "integer", "null", "number", "object", "string"])
    return {found} if isinstance(found, str) else set(found)
