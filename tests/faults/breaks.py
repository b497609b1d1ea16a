"""Everything that can be wrong with the orders of ``test_checker.py``."""

from __future__ import annotations

CHARGE = (
    "insert into simulator.payments (key, amount, currency, method, status, reference, captured, refunded, asked) "
    "select {key}, amount, currency, method, status, reference, captured, refunded, asked "
    "from simulator.payments where key = 'completed:authorize:1'"
)
PARCEL = (
    "insert into simulator.parcels (shipment_id, carrier, tracking_number, status, label, dispatched_at, dispatches) "
    "select {key}, carrier, tracking_number, status, label, dispatched_at, dispatches "
    "from simulator.parcels where shipment_id = 'completed:1'"
)
TOLD_AGAIN = (
    "insert into events select order_id, {seq}, type, at, actor, data, trace_id from events where order_id = {order} "
    "and type = {kind}; update orders set version = {seq} where id = {order}"
)
UNSAID = "update events set type = 'payment_noticed' where order_id = '{}' and type = '{}'"
BREAKS = {
    # At rest
    "waits for nobody": (
        "update orders set waiting_until = null where id = 'in_review'",
        "in_review: rest: it is in_review, and waits for nobody",
    ),
    "was forgotten": (
        "update orders set waiting_until = now() - interval '2 minutes' where id = 'unpaid'",
        "unpaid: rest: it is payment_failed, and has waited until",
    ),
    "still asks the provider": (
        "update orders set payment_status = 'voiding' where id = 'uncollected'",
        "uncollected: rest: it is shipped, and waits for nobody",
    ),
    "still waits for its parcel": (
        "update shipments set status = 'in_transit' where order_id = 'uncollected'",
        "uncollected: rest: it is shipped, and waits for nobody",
    ),
    "has no answer, and says so": (
        "update orders set waiting_until = null, stuck = '{\"payment\": \"no answer\"}' where id = 'in_review'",
        "in_review: rest: it is in_review, and waits for nobody",
    ),
    "was left behind": (
        "update orders set stuck = null where id = 'uncollected'",
        "uncollected: rest: it is shipped, and waits for nobody",
    ),
    # The trail
    "a gap": (
        "delete from events where order_id = 'completed' and seq = 5",
        "completed: trail: event 6, payment_captured: it should have the number 5",
    ),
    "too few events": (
        "delete from events where order_id = 'rejected' and type = 'rejected'",
        "rejected: trail: 2 events, and the order is at version 3",
    ),
    "too many events": (
        "update orders set version = 2 where id = 'short'",
        "short: trail: 3 events, and the order is at version 2",
    ),
    "no beginning": (
        UNSAID.format("short", "received"),
        "short: trail: event 1, payment_noticed: a trail begins with received, and has it once",
    ),
    "told twice": (
        TOLD_AGAIN.format(seq=99, order="'in_review'", kind="'received'"),
        "in_review: trail: event 99, received: a trail begins with received, and has it once",
    ),
    "a charge told twice": (
        "update events set type = 'payment_captured', data = (select data from events where order_id = 'completed' and "
        "type = 'payment_captured') where order_id = 'completed' and type = 'picked'",
        "completed: trail: event 8, payment_captured: key completed:authorize:1 has been told before",
    ),
    "a move that there is not": (
        "update events set type = 'completed' where order_id = 'rejected' and type = 'rejected'",
        "rejected: trail: event 3, completed: an order does not go from validated to completed",
    ),
    "money that moves as it can't": (
        "update events set type = 'refunded' where order_id = 'completed' and type = 'payment_authorized'",
        "completed: trail: event 5, refunded: money does not go from pending to refunded",
    ),
    "a parcel that moves as it can't": (
        "update events set type = 'returned' where order_id = 'completed' and type = 'packed'",
        "completed: trail: event 9, returned: a parcel does not go from picked to returned",
    ),
    "steps of a parcel that there is not": (
        "update events set type = 'picked' where order_id = 'unpaid' and seq = 2",
        "unpaid: trail: event 2, picked: there is no parcel",
    ),
    "more than was authorized": (
        "update events set data = jsonb_set(data, '{amount}', '99999') where order_id = 'completed' and "
        "type = 'payment_captured'",
        "completed: trail: event 6, payment_captured: 99999 is more than was authorized",
    ),
    "more back than there was": (
        "update events set data = jsonb_set(data, '{amount}', '99999') where order_id = 'failed' and type = 'refunded'",
        "failed: trail: event 13, refunded: 99999 is more than the shop has, 12499",
    ),
    "a life after the end": (
        TOLD_AGAIN.format(seq=4, order="'rejected'", kind="'validated'"),
        "rejected: trail: event 4, validated: the order was rejected already",
    ),
    "an answer to no question": (
        "update events set data = jsonb_set(data, '{key}', '\"other\"') where order_id = 'unpaid' and seq = 5",
        "unpaid: trail: event 5, payment_declined: other was never asked for",
    ),
    "data that nobody can read": (
        "update events set data = '{}' where order_id = 'completed' and type = 'labelled'",
        "completed: trail: event 10, labelled: its data can't be read (KeyError: 'carrier')",
    ),
    "before its time": (
        "update events set at = at - interval '1 day' where order_id = 'completed' and type = 'picked'",
        "completed: trail: event 8, picked, was before the order was created",
    ),
    # The fold
    **{
        f"another {name}": (
            f"update orders set {name} = {value} where id = 'completed'",
            f"completed: fold: {name} is ",
        )
        for name, value in {
            "status": "'failed'",
            "payment_status": "'refunded'",
            "authorized": "20000",
            "captured": "12498",
            "refunded": "1",
            "total": "1",
            "lines": "'[]'",
            "shipping_address": "'{}'",
            "payment_method": "'tok_amex'",
            "customer_name": "'Jim'",
            "customer_email": "'jim@example.com'",
            "currency": "'EUR'",
            "metadata": '\'{"gift": "yes"}\'',
            "stock": "'{}'",
            "stuck": '\'{"payment": "no answer"}\'',
            "waiting_until": "now()",
            "created_at": "now()",
            "updated_at": "now()",
        }.items()
    },
    "a question that nobody told of": (
        "delete from payments where key = 'refunded:refund:1'",
        "refunded: fold: payments has 1 rows, its events make it 2",
    ),
    "an answer that nobody told of": (
        "update payments set status = 'declined' where key = 'completed:authorize:1'",
        "completed: fold: status in payments 1 is declined, its events make it succeeded",
    ),
    "a parcel that nobody told of": (
        "delete from shipments where id = 'completed:1'",
        "completed: fold: shipments has 0 rows, its events make it 1",
    ),
    "another carrier": (
        "update shipments set carrier = 'Pigeon' where id = 'completed:1'",
        "completed: fold: carrier in shipments 1 is Pigeon, its events make it Inland Parcel",
    ),
    # Money
    "charged twice": (
        CHARGE.format(key="'completed:authorize:2'"),
        "completed: money: 2 charges are kept: completed:authorize:1, completed:authorize:2",
    ),
    "not all of it": (
        "update simulator.payments set refunded = 1 where key = 'completed:authorize:1'",
        "completed: money: the provider keeps 12498 of a completed order of 12499",
    ),
    "never paid": (
        "update simulator.payments set captured = 0 where key = 'held_first:authorize:1'",
        "held_first: money: the provider keeps 0 of a completed order of 12499",
    ),
    **{
        f"not given back when {status}": (
            f"update simulator.payments set captured = amount, refunded = 0 where key = '{name}:authorize:1'",
            f"{name}: money: the provider keeps 12499 of an order that is {status}",
        )
        for name, status in (("refunded", "cancelled"), ("expired", "expired"), ("failed", "failed"))
    },
    "charged and rejected": (
        CHARGE.format(key="'rejected:authorize:1'"),
        "rejected: money: the provider keeps 12499 of an order that is rejected",
    ),
    "part of it taken": (
        "update simulator.payments set captured = 5 where key = 'unpaid:authorize:1'",
        "unpaid: money: the provider keeps 5 of an order of 12499",
    ),
    "never let go": (
        "update simulator.payments set status = 'authorized' where key = 'voided:authorize:1'",
        "voided: money: voided:authorize:1 is still held ready",
    ),
    "in another currency": (
        "update simulator.payments set currency = 'EUR' where key = 'completed:authorize:1'",
        "completed: money: it was asked for in another currency than USD",
    ),
    # The provider's books
    "a payment of no order": (
        CHARGE.format(key="'ghost:authorize:1'"),
        "ghost: provider: it has a payment of no order",
    ),
    "a payment that the shop has not": (
        CHARGE.format(key="'in_review:authorize:1'"),
        "in_review: provider: it has an entry in_review:authorize:1, the shop has none",
    ),
    "a payment that the provider has not": (
        "delete from simulator.payments where key = 'completed:authorize:1'",
        "completed: provider: it has no entry completed:authorize:1, which the shop has as succeeded",
    ),
    "no answer": (
        UNSAID.format("voided", "voided"),
        "voided: provider: voided:authorize:1 has no answer, and the order is over",
    ),
    **{
        f"the provider's {name}": (
            f"update simulator.payments set {name} = {value} where key = 'refunded:authorize:1'",
            f"refunded: provider: {name} of refunded:authorize:1 is ",
        )
        for name, value in {
            "amount": "1",
            "method": "'tok_amex'",
            "status": "'declined'",
            "reference": "'pay_other'",
            "captured": "12498",
            "refunded": "12498",
            "refund_key": "'other'",
        }.items()
    },
    # The carriers' books
    "handed over twice": (
        PARCEL.format(key="'completed:2'"),
        "completed: carrier: 2 parcels were handed over: completed:1, completed:2",
    ),
    "handed over and cancelled": (
        PARCEL.format(key="'refunded:1'"),
        "refunded: carrier: refunded:1, of an order that is cancelled, was handed over",
    ),
    "handed over and called back": (
        PARCEL.format(key="'failed:1'"),
        "failed: carrier: it has got failed:1, which the shop has as recalled",
    ),
    "a parcel that the shop has not": (
        PARCEL.format(key="'in_review:1'"),
        "in_review: carrier: it has a parcel in_review:1, the shop has none",
    ),
    "a parcel of no order": (PARCEL.format(key="'ghost:1'"), "ghost: carrier: it has a parcel of no order"),
    "a parcel that the carrier has not": (
        "delete from simulator.parcels where shipment_id = 'completed:1'",
        "completed: carrier: it never got completed:1, which the shop has as delivered",
    ),
    "never handed over": (
        "update simulator.parcels set dispatches = 0 where shipment_id = 'completed:1'",
        "completed: carrier: it never got completed:1, which the shop has as delivered",
    ),
    "to another address": (
        "update simulator.parcels set label = label || '{\"city\": \"Elsewhere\"}' where shipment_id = 'redirected:1'",
        "redirected: carrier: the label of redirected:1 has another address than the one on record",
    ),
    "to the address before": (
        "update orders set shipping_address = shipping_address || '{\"country\": \"AQ\"}' where id = 'redirected'",
        "redirected: carrier: the label of redirected:1 has another address than the one on record",
    ),
    "by another number": (
        "update simulator.parcels set tracking_number = 'TRK' where shipment_id = 'completed:1'",
        "completed: carrier: tracking_number of completed:1 is TRK there, and TRK_",
    ),
    "completed on its way": (
        "update shipments set status = 'in_transit' where id = 'completed:1'",
        "completed: carrier: the order is completed, and its parcel in_transit",
    ),
    "one parcel after the other": (
        "insert into shipments values ('completed:2', 'completed', 2, 'requested')",
        "completed: carrier: completed:1 is delivered, and another one follows it",
    ),
    # The stock
    "a piece too many": (
        "update stock set on_hand = on_hand + 1 where sku = 'MUG'",
        "MUG: stock: 999991 on the shelf and 10 taken, of 1000000",
    ),
    "a piece held by nobody": (
        "update stock set reserved = reserved + 1 where sku = 'MUG'",
        "MUG: stock: 3 reserved, and orders hold 2",
    ),
    "an article that has vanished": (
        "delete from stock where sku = 'POSTER'",
        "POSTER: stock: 0 on the shelf and 0 taken, of 250",
    ),
    "less than nothing": (
        "alter table stock drop constraint stock_no_oversell_check; update stock set reserved = 4 where sku = 'SCARCE'",
        "SCARCE: stock: 4 reserved of 3 on the shelf",
    ),
    "held for ever": (UNSAID.format("failed", "stock_released"), "failed: stock: an order that is failed holds pieces"),
    "taken without being asked": (
        UNSAID.format("completed", "stock_reserved"),
        "completed: stock: {} was taken for an order of {'ABC123': 1, 'MUG': 2}",
    ),
}
"""What is wrong, by its name: how it comes about, and how a line begins that says so."""
