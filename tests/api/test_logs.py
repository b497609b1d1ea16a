"""What an order leaves in the logs of all who work on it: here they are one process."""

from __future__ import annotations

import logging

from tests.api.conftest import Api
from tests.examples import body
from tests.logged import logged

NAME, EMAIL, STREET, OTHER_STREET = "Zebulon Quux", "zebulon@quux.example", "77 Xylophone Row", "88 Yttrium Way"


async def test_each_change_of_an_order_is_one_line_that_names_it(api: Api) -> None:
    with logged() as log:
        order_id = (await api.place())["id"]
        await api.until(order_id, "completed")
        events = (await api.http.get(f"/orders/{order_id}/events")).json()["data"]
    lines = [entry for entry in log.of("orders.activities.ledger") if entry["order_id"] == order_id]
    assert [(line["seq"], line["event"]) for line in lines] == [(event["seq"], event["type"]) for event in events]
    assert {(line["workflow_id"], line["task_queue"], line["attempt"]) for line in lines} == {
        (f"order:{order_id}", "orders", 1)
    }
    assert (lines[0]["trace_id"], lines[-1]["status"]) == (events[0]["trace_id"], "completed")


async def test_no_line_says_who_ordered_or_where_they_live(patient_api: Api) -> None:
    with logged(logging.DEBUG) as log:
        home = {**body()["shipping_address"], "street": STREET}
        order = await patient_api.place(customer_name=NAME, customer_email=EMAIL, shipping_address=home)
        path = f"/orders/{order['id']}"
        await patient_api.http.get("/orders", params={"customer_email": EMAIL})
        moved = await patient_api.http.put(f"{path}/shipping-address", json={**home, "street": OTHER_STREET})
        assert moved.status_code == 200, moved.text
        await patient_api.http.post(f"{path}/review", json={"decision": "approve", "note": f"{NAME} is known"})
        await patient_api.until(order["id"], "completed")
        refused = await patient_api.http.put(f"{path}/shipping-address", json={**home, "street": OTHER_STREET})
        assert refused.status_code == 409
    # Whom the test itself asks is in the log of its own client.
    lines = [entry for entry in log.entries if not entry["logger"].startswith("http")]
    assert any(line.get("order_id") == order["id"] for line in lines)
    said = str(lines)
    assert [part for part in (*NAME.split(), EMAIL, STREET, OTHER_STREET) if part in said] == []
