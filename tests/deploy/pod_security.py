"""Pod Security *restricted*: what of a pod's specification breaks it.

The controls are those of "Pod Security Standards" in Kubernetes' documentation, baseline and restricted, as of
version 1.37: https://kubernetes.io/docs/concepts/security/pod-security-standards/. Pods for Windows are not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Spec = dict[str, Any]

SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
SECCOMP = frozenset({"RuntimeDefault", "Localhost"})
APPARMOR = frozenset({"RuntimeDefault", "Localhost"})
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def containers(pod: Spec) -> list[Spec]:
    """Give all containers of a pod, those that run before the others too."""
    return [each for key in ("initContainers", "containers", "ephemeralContainers") for each in pod.get(key) or ()]


def violations(pod: Spec, annotations: dict[str, str] | None = None) -> list[str]:
    """Name each field of a pod's specification that the standard forbids, and each that it misses."""
    found = list(_of_pod(pod))
    found += [f"annotation {name}" for name in annotations or {} if "apparmor.security.beta" in name]
    for container in containers(pod):
        found += [f"{container['name']}: {what}" for what in _of_container(container, pod.get("securityContext") or {})]
    return found


def _of_pod(pod: Spec) -> Iterator[str]:
    yield from (field for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field))
    for volume in pod.get("volumes") or ():
        yield from (f"volume {kind}" for kind in volume if kind != "name" and kind not in VOLUMES)
    context = pod.get("securityContext") or {}
    yield from (f"sysctl {each['name']}" for each in context.get("sysctls") or () if each["name"] not in SYSCTLS)
    yield from _of_context(context)


def _of_context(context: Spec) -> Iterator[str]:
    """What both a pod's and a container's security context may not say."""
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot"
    if context.get("runAsUser") == 0:
        yield "runAsUser"
    if context.get("seccompProfile") and context["seccompProfile"].get("type") not in SECCOMP:
        yield "seccompProfile"
    if context.get("appArmorProfile") and context["appArmorProfile"].get("type") not in APPARMOR:
        yield "appArmorProfile"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "windowsOptions"


def _of_container(container: Spec, of_pod: Spec) -> Iterator[str]:
    context = container.get("securityContext") or {}
    yield from _of_context(context)
    if context.get("privileged"):
        yield "privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if context.get("procMount", "Default") != "Default":
        yield "procMount"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or ()):
        yield "capabilities.drop"
    if set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    # A container that says nothing has what its pod says.
    yield from (field for field in ("runAsNonRoot", "seccompProfile") if field not in {**of_pod, **context})
    yield from _hosts(container)


def _hosts(container: Spec) -> Iterator[str]:
    if any(port.get("hostPort") for port in container.get("ports") or ()):
        yield "hostPort"
    asking = {name: container.get(name) or {} for name in PROBES} | (container.get("lifecycle") or {})
    for name, probe in asking.items():
        if any((probe.get(how) or {}).get("host") for how in ("httpGet", "tcpSocket")):
            yield f"{name}.host"
