"""Nothing personal where Temporal keeps what no codec reaches: ids, types, search attributes."""

from __future__ import annotations

from typing import Any

from temporalio.client import Client

from orders.contracts import order_workflow_id, shipment_workflow_id
from tests.api.conftest import Api
from tests.examples import body

NAME, EMAIL, STREET, CITY = "Zebulon Quux", "zebulon@quux.example", "77 Xylophone Row", "Yttrium"


def outside(found: Any) -> Any:
    """A history without its payloads, which a codec encrypts; those of search attributes are never."""
    if isinstance(found, dict):
        is_payload = "data" in found and "metadata" in found
        return None if is_payload else {name: _kept(name, value) for name, value in found.items()}
    return [outside(each) for each in found] if isinstance(found, list) else found


def _kept(name: str, value: Any) -> Any:
    return value if name == "searchAttributes" else outside(value)


async def test_what_can_not_be_encrypted_names_nobody(patient_api: Api, client: Client) -> None:
    home = {**body()["shipping_address"], "street": STREET, "city": CITY}
    order = await patient_api.place(customer_name=NAME, customer_email=EMAIL, shipping_address=home)
    path = f"/orders/{order['id']}"
    await patient_api.http.post(f"{path}/review", json={"decision": "approve", "note": f"{NAME} is known"})
    await patient_api.until(order["id"], "completed")
    told = ""
    for workflow in (order_workflow_id(order["id"]), shipment_workflow_id(f"{order['id']}:1")):
        handle = client.get_workflow_handle(workflow)
        described = await handle.describe()
        told += repr(described.typed_search_attributes) + described.id + described.task_queue
        history = await handle.fetch_history()
        assert NAME in str(history.events) or EMAIL in str(history.events) or STREET in str(history.events)
        told += str(outside(history.to_json_dict()))
    assert "OrderStatus" in told
    assert [part for part in (*NAME.split(), EMAIL, STREET, CITY) if part in told] == []
