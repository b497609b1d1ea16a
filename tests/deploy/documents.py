"""Objects of Kubernetes, as YAML has them, and how to find what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod, or the template of one."""

    owner: Document
    metadata: Document
    spec: Document

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self.metadata.get("labels") or {})

    @property
    def component(self) -> str:
        """What it is of the system: ``api``, ``worker``, ``migrations`` or ``test``."""
        return self.labels["app.kubernetes.io/component"]

    @property
    def containers(self) -> list[Document]:
        """Its containers, those that run before the others too."""
        return [*(self.spec.get("initContainers") or ()), *self.spec["containers"]]


def name_of(document: Document) -> str:
    """Write the kind and the name of an object: ``Deployment/orders-api``."""
    return f"{document['kind']}/{document['metadata']['name']}"


def of_kind(documents: Iterable[Document], kind: str) -> list[Document]:
    """Give all objects of a kind."""
    return [each for each in documents if each["kind"] == kind]


def one(documents: Iterable[Document], kind: str, ends: str = "") -> Document:
    """Give the one object of a kind whose name has this end."""
    documents = list(documents)
    found = [each for each in of_kind(documents, kind) if each["metadata"]["name"].endswith(ends)]
    assert len(found) == 1, f"{len(found)} of {kind} …{ends} among {[name_of(each) for each in documents]}"
    return found[0]


def pods(documents: Iterable[Document]) -> Iterator[Pod]:
    """Give the pods that there are, and the templates of those that there will be."""
    for document in documents:
        spec = document.get("spec") or {}
        if document["kind"] == "Pod":
            yield Pod(document, document["metadata"], spec)
        template = (spec.get("jobTemplate", {}).get("spec") or spec).get("template") or {}
        if isinstance(template, dict) and "containers" in (template.get("spec") or {}):
            yield Pod(document, template.get("metadata") or {}, template["spec"])


def environment(container: Document) -> dict[str, Any]:
    """Give the variables of a container: a text, or where the text comes from."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container.get("env") or ()}


def is_hook(document: Document) -> bool:
    """Whether Helm makes an object at a time of its own, before the others or when asked to."""
    return "helm.sh/hook" in (document["metadata"].get("annotations") or {})


def selects(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """Whether a selector of labels means something with these labels; an empty one means everything."""
    selector = selector or {}
    wanted = (selector.get("matchLabels") or {}).items()
    return wanted <= labels.items() and all(_holds(each, labels) for each in selector.get("matchExpressions") or ())


def _holds(expression: dict[str, Any], labels: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[expression["operator"]]
