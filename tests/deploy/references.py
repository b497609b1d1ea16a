"""What objects refer to by name, label or port, and whether it is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.deploy.documents import Document, Pod, name_of, of_kind, pods, selects
from tests.deploy.pod_security import PROBES


def wanted_by_pod(spec: Document) -> Iterator[str]:
    """Name what a pod can't start without: ``Secret/orders-database/url``, ``ServiceAccount/orders-api``."""
    if (account := spec.get("serviceAccountName", "default")) != "default":
        yield f"ServiceAccount/{account}"
    for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
        for variable in container.get("env") or ():
            yield from _wanted_by_variable(variable.get("valueFrom") or {})
    for volume in spec.get("volumes") or ():
        if secret := volume.get("secret"):
            yield from (f"Secret/{secret['secretName']}/{item['key']}" for item in secret["items"])
        if "configMap" in volume:
            yield f"ConfigMap/{volume['configMap']['name']}"


def _wanted_by_variable(source: Document) -> Iterator[str]:
    if reference := source.get("secretKeyRef"):
        yield f"Secret/{reference['name']}/{reference['key']}"
    if reference := source.get("configMapKeyRef"):
        yield f"ConfigMap/{reference['name']}"


def dangling(documents: Sequence[Document], given: Iterable[str] = ()) -> list[str]:
    """Say what is referred to and neither among the objects nor ``given`` (as `wanted_by_pod` names it)."""
    there = {name_of(each) for each in documents} | set(given)
    templates = list(pods(documents))
    wanted = [(name_of(pod.owner), each) for pod in templates for each in wanted_by_pod(pod.spec)]
    wanted += [(name_of(each), name) for each in documents for name in _wanted_by(each)]
    found = [f"{owner} refers to {name}" for owner, name in wanted if name not in there]
    for pod in templates:
        found += _within(pod)
    for document in documents:
        found += [f"{name_of(document)}: {what}" for what in _selected(document, documents, templates)]
    return found


def _wanted_by(document: Document) -> Iterator[str]:
    spec = document.get("spec") or {}
    match document["kind"]:
        case "HorizontalPodAutoscaler":
            yield f"{spec['scaleTargetRef']['kind']}/{spec['scaleTargetRef']['name']}"
        case "ScaledObject":
            yield f"{spec['scaleTargetRef'].get('kind', 'Deployment')}/{spec['scaleTargetRef']['name']}"
            references = [each["authenticationRef"] for each in spec["triggers"] if "authenticationRef" in each]
            yield from (f"{each.get('kind', 'TriggerAuthentication')}/{each['name']}" for each in references)
        case "TriggerAuthentication":
            yield from (f"Secret/{each['name']}/{each['key']}" for each in spec.get("secretTargetRef") or ())
        case "Ingress":
            paths = [path for rule in spec["rules"] for path in rule["http"]["paths"]]
            yield from (f"Service/{path['backend']['service']['name']}" for path in paths)
        case "HTTPRoute":
            yield from (f"Service/{each['name']}" for rule in spec["rules"] for each in rule["backendRefs"])
        case "WorkerDeployment":
            yield f"Connection/{spec['workerOptions']['connectionRef']['name']}"
        case "WorkerResourceTemplate":
            yield f"WorkerDeployment/{spec['workerDeploymentRef']['name']}"


def _within(pod: Pod) -> Iterator[str]:
    """What the containers of a pod name of the pod itself."""
    volumes = {each["name"] for each in pod.spec.get("volumes") or ()}
    mounted = {each["name"] for container in pod.containers for each in container.get("volumeMounts") or ()}
    yield from (f"{name_of(pod.owner)} mounts no volume {name}" for name in volumes - mounted)
    yield from (f"{name_of(pod.owner)} has no volume {name}" for name in mounted - volumes)
    for container in pod.containers:
        named = {each["name"] for each in container.get("ports") or ()}
        for probe in (container[name] for name in PROBES if name in container):
            if (port := probe["httpGet"]["port"]) not in named:
                yield f"{name_of(pod.owner)} is asked on port {port}, which it doesn't name"


def _selected(document: Document, documents: Sequence[Document], templates: list[Pod]) -> Iterator[str]:
    """What is wrong with what an object picks by labels, and with the ports that it names there."""
    spec = document.get("spec") or {}
    match document["kind"]:
        case "Deployment" | "PodDisruptionBudget":
            yield from _one_owner(_chosen(spec["selector"], templates))
        case "Service":
            chosen = _chosen({"matchLabels": spec["selector"]}, templates)
            yield from _one_owner(chosen)
            yield from _ports(chosen, (each["targetPort"] for each in spec["ports"]))
        case "NetworkPolicy":
            if not _chosen(spec["podSelector"], templates):
                yield "selects no pod"
        case "PodMonitor":
            chosen = _chosen(spec["selector"], templates)
            yield from _one_owner(chosen)
            yield from _ports(chosen, (each["port"] for each in spec["podMetricsEndpoints"]))
        case "ServiceMonitor":
            yield from _watched(spec, of_kind(documents, "Service"))
        case "HorizontalPodAutoscaler" | "ScaledObject":
            yield from _scaled(spec["scaleTargetRef"]["name"], documents)


def _chosen(selector: Document, templates: list[Pod]) -> list[Pod]:
    return [pod for pod in templates if selects(selector, pod.labels)]


def _watched(spec: Document, services: list[Document]) -> Iterator[str]:
    chosen = [each for each in services if selects(spec["selector"], each["metadata"]["labels"])]
    named = {port["name"] for each in chosen for port in each["spec"]["ports"]}
    yield from (f"port {each['port']} is of no Service" for each in spec["endpoints"] if each["port"] not in named)


def _one_owner(chosen: list[Pod]) -> Iterator[str]:
    owners = sorted({name_of(pod.owner) for pod in chosen})
    if len(owners) != 1:
        yield f"selects pods of {owners or 'nobody'}"


def _ports(chosen: list[Pod], wanted: Iterable[Any]) -> Iterator[str]:
    named = {port["name"] for pod in chosen for container in pod.containers for port in container.get("ports") or ()}
    yield from (f"port {each} is of no container" for each in wanted if each not in named)


def _scaled(target: str, documents: Sequence[Document]) -> Iterator[str]:
    if any("replicas" in each["spec"] for each in documents if each["metadata"]["name"] == target and "spec" in each):
        yield f"{target} has replicas too: an upgrade would undo what was scaled"
    scalers = [*of_kind(documents, "HorizontalPodAutoscaler"), *of_kind(documents, "ScaledObject")]
    if len([each for each in scalers if each["spec"]["scaleTargetRef"]["name"] == target]) > 1:
        yield f"{target} is scaled by another too"
