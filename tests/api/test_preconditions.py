"""An order is changed only if it is as the caller has seen it, and sent only if they have not."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.conftest import Api
from tests.examples import body

ADDRESS = {"street": "1 Market St", "city": "San Francisco"}
STALE = "urn:order-lifecycle:problem:stale"
CHANGES = [
    ("POST", "cancel", {}),
    ("POST", "review", {"decision": "approve"}),
    ("POST", "amend", {"take_available": True}),
    ("PUT", "shipping-address", ADDRESS),
    ("POST", "payment/cancel", {}),
    ("POST", "payment/retry", {"payment_method": "tok_amex"}),
]


async def in_review(api: Api) -> tuple[str, str]:
    """An order that stays as it is, and its entity tag."""
    placed = await api.place()
    await api.until(placed["id"], "in_review")
    url = f"/orders/{placed['id']}"
    return url, (await api.http.get(url)).headers["ETag"]


async def test_the_etag_of_an_order_is_its_version(patient_api: Api) -> None:
    placed = await patient_api.http.post("/orders", json=body())
    assert placed.headers["ETag"] == '"1"'
    url, etag = await in_review(patient_api)
    assert etag == f'"{(await patient_api.http.get(url)).json()["version"]}"'


async def test_a_change_to_the_order_as_it_was_seen_is_made(patient_api: Api) -> None:
    url, etag = await in_review(patient_api)
    answer = await patient_api.http.put(f"{url}/shipping-address", json=ADDRESS, headers={"If-Match": etag})
    assert answer.status_code == 200
    assert answer.headers["ETag"] == f'"{answer.json()["version"]}"' != etag


@pytest.mark.parametrize(("method", "path", "sent"), CHANGES, ids=[path for _, path, _ in CHANGES])
async def test_a_change_to_an_order_that_has_changed_meanwhile_is_not_made(
    patient_api: Api, method: str, path: str, sent: dict[str, str]
) -> None:
    api = patient_api
    url, _ = await in_review(api)
    before = (await api.http.get(url)).json()
    answer = await api.http.request(method, f"{url}/{path}", json=sent, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["type"]) == (412, STALE)
    assert f'If-Match: "{before["version"]}"' in answer.json()["detail"]
    assert (await api.http.get(url)).json() == before


@pytest.mark.parametrize("tags", ["*", '"1", {etag}', '{etag},"9"'])
async def test_any_of_several_tags_will_do(patient_api: Api, tags: str) -> None:
    url, etag = await in_review(patient_api)
    headers = {"If-Match": tags.format(etag=etag)}
    assert (await patient_api.http.put(f"{url}/shipping-address", json=ADDRESS, headers=headers)).status_code == 200


async def test_tags_may_stand_in_several_lines(patient_api: Api) -> None:
    url, etag = await in_review(patient_api)
    headers = [("If-Match", '"1"'), ("If-Match", etag)]
    assert (await patient_api.http.put(f"{url}/shipping-address", json=ADDRESS, headers=headers)).status_code == 200
    etag = (await patient_api.http.get(url)).headers["ETag"]
    headers = [("If-None-Match", '"1"'), ("If-None-Match", etag)]
    assert (await patient_api.http.get(url, headers=headers)).status_code == 304


@pytest.mark.parametrize("tag", ["W/{etag}", '"somebody-else\'s"', '"007"', '""'])
async def test_a_weak_or_a_foreign_tag_matches_nothing(patient_api: Api, tag: str) -> None:
    url, etag = await in_review(patient_api)
    headers = {"If-Match": tag.format(etag=etag)}
    assert (await patient_api.http.put(f"{url}/shipping-address", json=ADDRESS, headers=headers)).status_code == 412


@pytest.mark.parametrize("tag", ["{etag} 7", "7", "'7'", '"7', "seven", '"1" "2"', "x{etag}"])
async def test_what_is_no_tag_changes_nothing_and_is_told_how_one_looks(patient_api: Api, tag: str) -> None:
    url, etag = await in_review(patient_api)
    tag = tag.format(etag=etag)
    answer = await patient_api.http.post(f"{url}/cancel", headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["type"]) == (412, STALE)
    assert f"If-Match: {etag}" in answer.json()["detail"]
    answer = await patient_api.http.get(url, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.headers["ETag"]) == (200, etag)


async def test_of_two_changes_at_once_to_the_same_version_one_is_made(patient_api: Api) -> None:
    url, etag = await in_review(patient_api)
    answers = await asyncio.gather(
        *(
            patient_api.http.put(
                f"{url}/shipping-address", json={**ADDRESS, "street": f"{n} Way"}, headers={"If-Match": etag}
            )
            for n in range(5)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]


async def test_an_order_at_its_end_is_compared_too(api: Api) -> None:
    placed = await api.place()
    url, done = f"/orders/{placed['id']}", await api.until(placed["id"], "completed")
    stale = await api.http.post(f"{url}/cancel", json={}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["type"]) == (412, STALE)
    assert "refused" not in await api.trail(placed["id"])
    too_late = await api.http.post(f"{url}/cancel", json={}, headers={"If-Match": f'"{done["version"]}"'})
    assert too_late.status_code == 409


async def test_an_order_that_the_caller_has_is_not_sent_again(patient_api: Api) -> None:
    url, etag = await in_review(patient_api)
    for tag in (etag, f"W/{etag}", f'"1", {etag}', "*"):
        answer = await patient_api.http.get(url, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    for tag in ('"1"', '"x"'):
        assert (await patient_api.http.get(url, headers={"If-None-Match": tag})).status_code == 200


async def test_an_order_of_which_no_row_is_written_yet_has_a_tag_too(idle_api: Api) -> None:
    placed = await idle_api.http.post("/orders", json=body())
    found = await idle_api.http.get(placed.headers["Location"], headers={"If-None-Match": placed.headers["ETag"]})
    assert found.status_code == 304
