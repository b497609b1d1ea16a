"""What NetworkPolicies let through, computed: who may reach a pod, and whom it may reach."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Literal

from tests.deploy.documents import Document, Pod, of_kind, selects

Direction = Literal["ingress", "egress"]
ANYBODY = "anybody"


def openings(documents: Iterable[Document], pod: Pod, direction: Direction) -> set[str] | None:
    """Give what is let through as texts such as ``5432/TCP anybody``; None where no policy holds, so all is.

    A peer is written as the labels that it is picked by, those of its namespace after an ``@``, or as its addresses.
    """
    policies = _of(documents, pod, direction)
    if not policies:
        return None
    rules = [rule for policy in policies for rule in policy["spec"].get(direction) or ()]
    return {f"{port} {peer}" for rule in rules for port in _ports(rule) for peer in _peers(rule, direction)}


def may_reach(documents: list[Document], one: Pod, other: Pod, port: int) -> bool:
    """Whether a pod may connect to another of its namespace, by the policies of both."""
    return _lets(documents, one, "egress", other, port) and _lets(documents, other, "ingress", one, port)


def _lets(documents: list[Document], pod: Pod, direction: Direction, peer: Pod, port: int) -> bool:
    policies = _of(documents, pod, direction)
    rules = [rule for policy in policies for rule in policy["spec"].get(direction) or ()]
    names = {f"{port}/TCP", f"{_name(pod if direction == 'ingress' else peer, port)}/TCP", "any"}
    return not policies or any(names & set(_ports(rule)) and _includes(rule, direction, peer) for rule in rules)


def _of(documents: Iterable[Document], pod: Pod, direction: Direction) -> list[Document]:
    policies = [
        each for each in of_kind(documents, "NetworkPolicy") if selects(each["spec"]["podSelector"], pod.labels)
    ]
    return [each for each in policies if direction.capitalize() in each["spec"]["policyTypes"]]


def _name(pod: Pod, number: int) -> str | None:
    ports = [port for container in pod.containers for port in container.get("ports") or ()]
    return next((port["name"] for port in ports if port["containerPort"] == number), None)


def _ports(rule: Document) -> list[str]:
    return [f"{each['port']}/{each.get('protocol', 'TCP')}" for each in rule.get("ports") or ()] or ["any"]


def _peers(rule: Document, direction: Direction) -> list[str]:
    return [_written(each) for each in rule.get("from" if direction == "ingress" else "to") or ()] or [ANYBODY]


def _written(peer: dict[str, Any]) -> str:
    if "ipBlock" in peer:
        return json.dumps(peer["ipBlock"], sort_keys=True) if "except" in peer["ipBlock"] else peer["ipBlock"]["cidr"]
    pods = _labels(peer["podSelector"]) if "podSelector" in peer else "*"
    return f"{pods}@{_labels(peer['namespaceSelector'])}" if "namespaceSelector" in peer else pods


def _labels(selector: dict[str, Any]) -> str:
    # What stands before the last dot or slash of a label says whose it is, which is clear here.
    wanted = [f"{re.split('[./]', key)[-1]}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    return ",".join([*wanted, *(json.dumps(each) for each in selector.get("matchExpressions") or ())]) or "*"


def _includes(rule: Document, direction: Direction, pod: Pod) -> bool:
    peers = rule.get("from" if direction == "ingress" else "to")
    # An empty list means everybody, as no list does.
    return not peers or any("podSelector" in each and selects(each["podSelector"], pod.labels) for each in peers)
