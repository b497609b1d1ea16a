"""What the two checks see of a change, and that a patch keeps it from orders that are under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner

from orders.activities.shipping import ShippingActivities
from orders.contracts import SHIPPING_QUEUE, ShipmentReport
from orders.workflows.shipping import ShippingWorkflow
from orders.workflows.steps import Partner
from tests.replay import fingerprints, histories
from tests.replay.commands import Replayed, replay
from tests.replay.workflows import WORK_OF

Change = Callable[[ShippingWorkflow], Awaitable[None]]
RELEASE = histories.releases()[-1]
_ship = ShippingWorkflow._ship


async def a_new_activity(parcel: ShippingWorkflow) -> None:
    await parcel._partner.ask(ShippingActivities.put_back, parcel._request.shipment_id)


async def another_order(parcel: ShippingWorkflow) -> None:
    await parcel._partner.ask(ShippingActivities.dispatch, parcel._request)


async def a_new_wait(parcel: ShippingWorkflow) -> None:
    await workflow.sleep(1)


async def a_longer_timeout(parcel: ShippingWorkflow) -> None:
    patience = replace(parcel._request.partners, timeout=timedelta(seconds=16))
    parcel._partner = Partner(SHIPPING_QUEUE, patience, parcel._report_trouble)


async def more_patience(parcel: ShippingWorkflow) -> None:
    patience = replace(parcel._request.partners, retry_at_most_after=timedelta(minutes=2))
    parcel._partner = Partner(SHIPPING_QUEUE, patience, parcel._report_trouble)


async def another_queue(parcel: ShippingWorkflow) -> None:
    parcel._partner = replace(parcel._partner, queue="parcels")


async def another_input(parcel: ShippingWorkflow) -> None:
    parcel._request = replace(parcel._request, shipment_id=f"parcel:{parcel._request.shipment_id}")


async def replayed_with(change: Change, is_new: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> Replayed:
    """Lead a parcel through its history, its code having been changed."""

    async def changed(parcel: ShippingWorkflow) -> ShipmentReport:
        if is_new():
            await change(parcel)
        return await _ship(parcel)

    monkeypatch.setattr(ShippingWorkflow, "_ship", changed)
    given = [each for each in histories.of(RELEASE, "completed") if "shipment" in each.name]
    # The sandbox would import the code anew, without the change.
    (found,) = await replay(given, [ShippingWorkflow], runner=UnsandboxedWorkflowRunner())
    return found


def has_changed(found: Replayed) -> bool:
    return fingerprints.fingerprint(found) != fingerprints.kept(RELEASE)[found.saved.name]


@pytest.mark.parametrize(
    ("change", "seen_by_a_replay"),
    [
        (a_new_activity, True),
        (another_order, True),
        (a_new_wait, True),
        (a_longer_timeout, False),
        (more_patience, False),
        (another_queue, False),
        (another_input, False),
    ],
)
async def test_a_change_of_what_a_workflow_does_is_seen(
    change: Change, seen_by_a_replay: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await replayed_with(change, lambda: True, monkeypatch)
    assert (found.failure is not None, has_changed(found)) == (seen_by_a_replay, True)


@pytest.mark.parametrize("change", [a_new_activity, another_order, a_longer_timeout])
async def test_a_change_that_is_patched_leaves_what_is_under_way_as_it_is(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await replayed_with(change, lambda: workflow.patched("another parcel"), monkeypatch)
    assert found.failure is None
    assert not has_changed(found)


def test_what_workers_have_and_take_is_what_was_kept() -> None:
    assert fingerprints.of_workers(WORK_OF) == fingerprints.WORKERS.read_text(), (
        "a running order, another process or a release that is live may still want what is gone: "
        "docs/releases.md, “Changing a workflow”; then `python -m tests.replay --fingerprints`"
    )
