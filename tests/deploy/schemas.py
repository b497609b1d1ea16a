"""Whether objects are what Kubernetes, or the maker of a custom resource, says that they are, and nothing more."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import all_versions, major_minor, schema_contents
from referencing import Registry, Resource

from tests.deploy.documents import Document, name_of

VERSIONS = ("1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37")
"""The versions of Kubernetes that the chart supports, of which Chart.yaml names the first."""
GROUPS_OF_KUBERNETES = ("", "apps", "autoscaling", "batch", "networking.k8s.io", "policy", "rbac.authorization.k8s.io")


def is_custom(document: Document) -> bool:
    """Whether somebody else than Kubernetes defines this kind of object."""
    return _group(document) not in GROUPS_OF_KUBERNETES


def faults(document: Document, version: str) -> list[str]:
    """Name what of an object a version of Kubernetes would refuse, or pass over."""
    group, _, api = document["apiVersion"].rpartition("/")
    parts = [document["kind"].lower(), group.partition(".")[0], api]
    return _told(_of_kubernetes(version, "-".join(part for part in parts if part)), document)


def faults_of_custom(document: Document, folder: Path) -> list[str]:
    """Name what of a custom resource its definition in a folder of definitions would refuse, or prune."""
    paths = [*folder.glob(f"{_group(document)}_*.yaml")]
    of_kind = [path for path in paths if _definition(path)["spec"]["names"]["kind"] == document["kind"]]
    if not of_kind:
        return [f"{name_of(document)}: no definition among {[path.name for path in paths]}"]
    return _told(_of_custom(of_kind[0], document["apiVersion"].rpartition("/")[2]), document)


def _group(document: Document) -> str:
    return str(document["apiVersion"].rpartition("/")[0])


def _told(validator: Draft202012Validator, document: Document) -> list[str]:
    errors = validator.iter_errors(document)
    return [f"{name_of(document)}: {'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


# kubernetes_validate.validate() reads the schemas anew for each object, which takes ten times as long as the rest.
@functools.cache
def _of_kubernetes(version: str, name: str) -> Draft202012Validator:
    schema = schema_contents(f"{_folder(version)}/{name}.json", version)
    return Draft202012Validator(schema, registry=_definitions(version))


@functools.cache
def _definitions(version: str) -> Registry[Any]:
    definitions = Resource.from_contents(schema_contents(f"{_folder(version)}/_definitions.json", version))
    return definitions @ Registry()


@functools.cache
def _folder(version: str) -> str:
    (full,) = {each for each in all_versions() if major_minor(each) == version}
    return f"kubernetes-json-schema/v{full}-local-strict"


@functools.cache
def _definition(path: Path) -> Document:
    loaded: Document = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    return loaded


@functools.cache
def _of_custom(path: Path, version: str) -> Draft202012Validator:
    (found,) = (each for each in _definition(path)["spec"]["versions"] if each["name"] == version)
    schema = strict(found["schema"]["openAPIV3Schema"])
    # What every object has, a definition need not say.
    schema["properties"] |= {name: {} for name in ("apiVersion", "kind", "metadata")}
    return Draft202012Validator(schema)


def strict(schema: Any) -> Any:
    """Forbid what Kubernetes would prune: properties that a definition does not name, nor preserves."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return copy.deepcopy(schema)
    made = {key: strict(value) for key, value in schema.items()}
    is_open = made.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in made
    if isinstance(made.get("properties"), dict) and made.get("type") == "object" and not is_open:
        made["additionalProperties"] = False
    if made.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    return made
