"""``python3 -m infra.e2e``, or `make e2e`: from nothing to an upgrade under running orders, on a cluster by kind.

A first release, and its `helm test`; then an upgrade that replaces every pod, while orders from before it are in review
and further ones keep coming through the Service. All have to be delivered, and no request may fail.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
import uuid
from typing import Any

from infra import kind

API = "http://127.0.0.1:8080"
"""Where kind.yaml lets the API be found."""
ORDER = (kind.ROOT / "examples" / "order.json").read_bytes()
BEFORE, REVIEW = 10, 60
"""How many orders are placed before the upgrade, and how many seconds each is in review: longer than pods take."""
FIRST = (f"api.settings.REVIEW_TIMEOUT={REVIEW}",)
SECOND = ("api.settings.REVIEW_TIMEOUT=1", "settings.LOG_LEVEL=INFO")
"""Settings of the release, and of the upgrade: the second differ for every process."""
DEADLINE = 300.0
"""How long, in seconds, orders may take until they are delivered once the upgrade is done."""
OVERLAYS = ("dev", "prod")


def run_all() -> None:
    """Make a cluster, deploy, test, upgrade, and delete the cluster, unless something failed.

    Raises:
        Failed: something did; the cluster is left to look at. Or there was one before.
    """
    if kind.is_there():
        raise kind.Failed(
            f"the cluster {kind.CLUSTER} is there, and would be deleted with its data: make kind-down first"
        )
    kind.up("")
    for overlay in OVERLAYS:
        # The API server itself says what it would refuse.
        kind.kubectl("apply", "--dry-run=server", "-k", str(kind.K8S / "overlays" / overlay))
    kind.deploy(FIRST)
    kind.test()
    upgrade()
    kind.down()


def upgrade() -> None:
    """Replace every pod under running orders.

    Raises:
        Failed: a request failed, an order was not delivered, or a pod outlived the upgrade.
    """
    orders, pods = [place() for _ in range(BEFORE)], running_pods()
    say(f"{len(orders)} orders are in review; upgrading")
    customers = Customers()
    customers.start()
    try:
        kind.deploy(SECOND)
    finally:
        customers.stop()
    if customers.refused:
        raise kind.Failed(f"{len(customers.refused)} requests failed during the upgrade, first: {customers.refused[0]}")
    # Helm waits for the new ones; the old ones may be draining still. One that stays was not replaced.
    kind.kubectl("wait", "--namespace", kind.NAMESPACE, "--for=delete", "--timeout", kind.PATIENCE, *pods)
    orders += customers.orders
    say(f"{len(customers.orders)} more were placed meanwhile, no request failed; waiting until all are delivered")
    wait_until_delivered(orders)
    say(f"all {len(orders)} orders are delivered")


class Customers(threading.Thread):
    """Places an order each half second until told to stop; keeps their ids, and what went wrong."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.orders: list[str] = []
        self.refused: list[str] = []
        self._stopping = threading.Event()

    def run(self) -> None:
        """Place orders."""
        while not self._stopping.wait(0.5):
            try:
                self.orders.append(place())
            except kind.Failed as error:
                self.refused.append(f"{time.strftime('%H:%M:%S')} {error}")

    def stop(self) -> None:
        """Stop after the order that is being placed."""
        self._stopping.set()
        self.join()


def place() -> str:
    """Place an order and return its id.

    Raises:
        Failed: nobody answers in time, or with an error.
    """
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    return str(asked(urllib.request.Request(f"{API}/orders", ORDER, headers))["id"])  # noqa: S310 - the address is ours


def wait_until_delivered(orders: list[str]) -> None:
    """Ask for each order until it is at its end.

    Raises:
        Failed: one ended otherwise than delivered, or is not at its end after a while, or nobody answers.
    """
    deadline = time.monotonic() + DEADLINE
    for order in orders:
        while (status := asked(f"{API}/orders/{order}")["status"]) != "completed":
            if status in {"cancelled", "rejected", "expired", "failed"} or time.monotonic() > deadline:
                progress = asked(f"{API}/orders/{order}/progress")
                raise kind.Failed(f"order {order} is {status}: {json.dumps(progress)}")
            time.sleep(0.5)


def asked(request: str | urllib.request.Request) -> dict[str, Any]:
    """Ask the API, and return the JSON that it answers.

    Raises:
        Failed: nobody answers in time, or with an error.
    """
    try:
        # A connection of its own for each: a new one shows best whether the Service leads to pods that are there.
        with urllib.request.urlopen(request, timeout=15) as response:  # noqa: S310 - the address is ours
            answer: dict[str, Any] = json.load(response)
    except OSError as error:
        raise kind.Failed(f"the API at {API}: {error}") from error
    return answer


def running_pods() -> list[str]:
    """Give the names of the pods of the API and the workers."""
    names = kind.answer(
        *("kubectl", "--context", kind.CONTEXT, "get", "pods", "--namespace", kind.NAMESPACE, "--output", "name"),
        *("--selector", f"app.kubernetes.io/instance={kind.RELEASE},app.kubernetes.io/component in (api, worker)"),
        "--field-selector=status.phase=Running",
    )
    return names.split()


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"e2e: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(kind.attempt(run_all))
