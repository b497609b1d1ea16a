"""What Temporal stores is encrypted, by keys that can be exchanged."""

from __future__ import annotations

import base64
import re
import traceback

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from orders.codec import Codec
from orders.errors import InvalidSetting, Undecipherable
from orders.settings import TemporalSettings, load
from orders.temporal import connect
from tests.keys import key, with_keys

SAID = Payload(metadata={"encoding": b"json/plain", "type": b"a name"}, data=b'"John Doe"')
KEY = base64.b64encode(bytes(range(32))).decode()


def codec(*keys: str) -> Codec:
    return Codec(load(TemporalSettings, ENCRYPTION_KEYS=",".join(keys)).encryption_keys)


async def encrypted(*keys: str) -> Payload:
    (found,) = await codec(*keys).encode([SAID])
    return found


async def test_a_payload_is_hidden_with_its_metadata_and_comes_back_as_it_was() -> None:
    hidden = await encrypted(key("old"))
    assert dict(hidden.metadata) == {"encoding": b"binary/encrypted", "encryption-key-id": b"old"}
    assert b"John" not in hidden.SerializeToString()
    assert await codec(key("old")).decode([hidden]) == [SAID]


async def test_the_same_is_never_encrypted_alike() -> None:
    first, second = await codec(key("old")).encode([SAID, SAID])
    assert first.data[:12] != second.data[:12]
    assert first.data[12:] != second.data[12:]


async def test_the_first_key_encrypts_and_all_decrypt() -> None:
    by_old, by_new = await encrypted(key("old"), key("new")), await encrypted(key("new"), key("old"))
    assert by_new.metadata["encryption-key-id"] == b"new"
    assert await codec(key("new"), key("old")).decode([by_old, by_new]) == [SAID, SAID]


async def test_plain_in_the_first_place_encrypts_nothing_and_decrypts_what_others_have_encrypted() -> None:
    ready = codec("plain", key("old"))
    assert await ready.encode([SAID]) == [SAID]
    assert await ready.decode([await encrypted(key("old"))]) == [SAID]


async def test_what_is_not_encrypted_is_read_as_it_is() -> None:
    assert await codec(key("old")).decode([SAID]) == [SAID]


async def test_a_key_that_is_not_at_hand_is_named_with_what_to_do() -> None:
    with pytest.raises(Undecipherable, match="the encryption key 'old' is unavailable: ENCRYPTION_KEYS does not have"):
        await codec(key("new")).decode([await encrypted(key("old"))])


@pytest.mark.parametrize("change", ["data", "nonce", "id", "short", "empty"])
async def test_what_was_changed_is_not_believed(change: str) -> None:
    hidden = await encrypted(key("old"))
    middle, length = len(hidden.data) // 2, len(hidden.data)
    changed = {
        "data": hidden.data[:middle] + bytes([hidden.data[middle] ^ 1]) + hidden.data[middle + 1 :],
        "nonce": bytes([hidden.data[0] ^ 1]) + hidden.data[1:],
        "id": hidden.data,
        "short": hidden.data[: length - 1],
        "empty": b"",
    }
    # The key is the same, under another name: what it says of itself is authenticated too.
    name = b"older" if change == "id" else b"old"
    forged = Payload(metadata={**hidden.metadata, "encryption-key-id": name}, data=changed[change])
    with pytest.raises(Undecipherable, match="another one than this was encrypted by, or this was changed"):
        await codec(key("old"), key("old").replace("old:", "older:")).decode([forged])


async def lazy_client(*keys: str) -> Client:
    return await connect(with_keys(load(TemporalSettings, TEMPORAL_ADDRESS="127.0.0.1:9"), *keys), lazy=True)


async def test_texts_and_stack_traces_of_errors_are_encrypted_and_their_types_are_not() -> None:
    def ask() -> None:
        raise ApplicationError("nobody is called John Doe", "John Doe", type="Unknown")

    converter, failure = (await lazy_client(key("old"))).data_converter, Failure()
    with pytest.raises(ApplicationError) as raised:
        ask()
    assert "test_codec" in "".join(traceback.format_tb(raised.value.__traceback__))
    await converter.encode_failure(raised.value, failure)
    stored = failure.SerializeToString()
    assert [word for word in (b"John", b"nobody", b"test_codec") if word in stored] == []
    assert b"Unknown" in stored
    read = await converter.decode_failure(failure)
    assert isinstance(read, ApplicationError)
    assert (read.message, read.details) == ("nobody is called John Doe", ("John Doe",))


async def test_without_keys_and_before_it_begins_texts_stay_readable_for_who_has_none() -> None:
    for keys in ([], ["plain", key("old")]):
        failure = Failure()
        await (await lazy_client(*keys)).data_converter.encode_failure(ApplicationError("it is late"), failure)
        assert failure.message == "it is late"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (KEY, "key 1 is none: write ID:KEY"),
        (f"a:{KEY[:-4]}", "key 1 is none: write ID:KEY"),
        (f"a:{KEY[:-1]}", "key 1 is none: write ID:KEY"),
        (f"a:{KEY},b:secret", "key 2 is none: write ID:KEY"),
        (f"a b:{KEY}", "key 1 is none: write ID:KEY"),
        (f"a:{KEY},plain", "key 2 is none: write ID:KEY"),
        (f"a:{KEY},a:{KEY}", "a names two keys"),
        ("plain", "plain stands alone"),
    ],
)
def test_keys_that_can_not_be_are_one_line_that_does_not_show_them(
    monkeypatch: pytest.MonkeyPatch, written: str, reason: str
) -> None:
    monkeypatch.setenv("ENCRYPTION_KEYS", written)
    with pytest.raises(InvalidSetting, match=f"^ENCRYPTION_KEYS: {re.escape(reason)}") as wrong:
        load(TemporalSettings)
    assert "\n" not in str(wrong.value)
    assert not any(part in str(wrong.value) for part in (KEY[:20], "secret"))


def test_keys_are_not_shown_and_may_end_with_their_file_s_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCRYPTION_KEYS", f"{key('new')}, a.b-c_1:{KEY}\n")
    settings = load(TemporalSettings)
    assert len(settings.encryption_keys) == 2
    assert KEY not in repr(settings)
