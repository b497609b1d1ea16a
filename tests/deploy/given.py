"""What values name that is to be in the cluster already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.deploy.charts import CHART, FILES

DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


def given_secrets(file: str) -> set[str]:
    """Give the keys of existing Secrets that the values of a file in ``ci/`` name, as ``Secret/NAME/KEY``."""
    values = merged(DEFAULTS, yaml.safe_load(FILES[file].read_text()) or {})
    return {f"Secret/{each['name']}/{key}" for each in _existing(values) for key in _keys(each)}


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Lay values over others, as Helm does: objects key by key, anything else as a whole."""
    objects = [key for key in one.keys() & other.keys() if _are_objects(one[key], other[key])]
    both = {key: merged(one[key], other[key]) for key in objects}
    return {**one, **other, **both}


def _are_objects(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _existing(values: Any) -> Iterator[dict[str, str]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            if key == "existingSecret" and value["name"]:
                yield value
            else:
                yield from _existing(value)


def _keys(secret: Mapping[str, str]) -> list[str]:
    return [value for key, value in secret.items() if key != "name"]
