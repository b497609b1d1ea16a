"""What values name that is to be in the cluster already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.deploy.charts import CHART, FILES

DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


def given(file: str) -> set[str]:
    """Name what the values of a file in ``ci/`` take as given: ``Secret/NAME/KEY``, ``ServiceAccount/NAME``."""
    return set(_given(merged(DEFAULTS, yaml.safe_load(FILES[file].read_text()) or {})))


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Lay values over others, as Helm does: objects key by key, anything else as a whole."""
    objects = [key for key in one.keys() & other.keys() if _are_objects(one[key], other[key])]
    both = {key: merged(one[key], other[key]) for key in objects}
    return {**one, **other, **both}


def _are_objects(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _given(values: Any) -> Iterator[str]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            if key == "existingSecret":
                yield from (f"Secret/{value['name']}/{each}" for part, each in value.items() if part != "name")
            elif key == "serviceAccount" and value.get("create") is False:
                yield f"ServiceAccount/{value['name']}"
            else:
                yield from _given(value)
