"""The checker of Pod Security *restricted* finds each thing that the standard forbids."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.deploy.pod_security import violations

GOOD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "main",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8000}},
        }
    ],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
}
OF_PODS = {
    "hostNetwork": {"hostNetwork": True},
    "hostPID": {"hostPID": True},
    "hostIPC": {"hostIPC": True},
    "volume hostPath": {"volumes": [{"name": "node", "hostPath": {"path": "/"}}]},
    "volume nfs": {"volumes": [{"name": "files", "nfs": {"server": "files", "path": "/"}}]},
    "sysctl kernel.msgmax": {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
    "runAsUser": {"securityContext": {"runAsUser": 0}},
    "runAsNonRoot": {"securityContext": {"runAsNonRoot": False}},
    "seccompProfile": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    "appArmorProfile": {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
    "seLinuxOptions": {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}},
    "windowsOptions": {"securityContext": {"windowsOptions": {"hostProcess": True}}},
}
OF_CONTAINERS = {
    "privileged": {"securityContext": {"privileged": True}},
    "allowPrivilegeEscalation": {"securityContext": {"allowPrivilegeEscalation": True}},
    "procMount": {"securityContext": {"procMount": "Unmasked"}},
    "capabilities.drop": {"securityContext": {"capabilities": {"drop": ["NET_RAW"]}}},
    "capabilities.add": {"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]}}},
    "runAsUser": {"securityContext": {"runAsUser": 0}},
    "runAsNonRoot": {"securityContext": {"runAsNonRoot": False}},
    "seccompProfile": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    "appArmorProfile": {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
    "seLinuxOptions": {"securityContext": {"seLinuxOptions": {"user": "system_u"}}},
    "windowsOptions": {"securityContext": {"windowsOptions": {"hostProcess": True}}},
    "hostPort": {"ports": [{"containerPort": 8000, "hostPort": 8000}]},
    "livenessProbe.host": {"livenessProbe": {"httpGet": {"host": "127.0.0.1", "port": 8000}}},
    "preStop.host": {"lifecycle": {"preStop": {"tcpSocket": {"host": "127.0.0.1", "port": 8000}}}},
}


def changed(pod: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Lay a change over a pod or container: objects key by key, anything else as a whole."""
    merged = copy.deepcopy(pod)
    for key, value in change.items():
        both_objects = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = changed(merged[key], value) if both_objects else value
    return merged


def test_a_pod_that_keeps_to_the_standard_is_let_pass() -> None:
    assert violations(GOOD) == []


@pytest.mark.parametrize(("named", "change"), OF_PODS.items(), ids=OF_PODS)
def test_a_pod_is_refused_for(named: str, change: dict[str, Any]) -> None:
    assert violations(changed(GOOD, change)) == [named]


@pytest.mark.parametrize("kind", ["containers", "initContainers", "ephemeralContainers"])
@pytest.mark.parametrize(("named", "change"), OF_CONTAINERS.items(), ids=OF_CONTAINERS)
def test_a_container_of_any_kind_is_refused_for(kind: str, named: str, change: dict[str, Any]) -> None:
    container = changed(GOOD["containers"][0], change)
    assert violations(GOOD | {kind: [container]}) == [f"main: {named}"]


@pytest.mark.parametrize("field", ["runAsNonRoot", "seccompProfile"])
def test_what_neither_pod_nor_container_says_is_missed(field: str) -> None:
    pod = copy.deepcopy(GOOD)
    del pod["securityContext"][field]
    assert violations(pod) == [f"main: {field}"]
    pod["containers"][0]["securityContext"][field] = GOOD["securityContext"][field]
    assert violations(pod) == []


def test_an_annotation_that_chooses_a_profile_of_apparmor_is_refused() -> None:
    name = "container.apparmor.security.beta.kubernetes.io/main"
    assert violations(GOOD, {name: "unconfined"}) == [f"annotation {name}"]
