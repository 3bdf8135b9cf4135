"""open_vmcore: what the dump says of itself, and its log where the text beside it lacks some of it."""

from typing import Any

import pytest

from lab.machines.composed_dump import BUILD_ID, LOG_TEXT, RELEASE, flattened, kdump_compressed, memory_with_log
from lambdas.handlers import open_vmcore
from lambdas.incident.object_keys import keys
from lambdas.incident.record import Upload
from lambdas.incident.table import IncidentTable
from lambdas.runtime.errors import BucketRefused, VmcoreUnreadable
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.planning import INCIDENT, OPENED, PREFIX, open_incident

KEYS = keys(PREFIX)
DUMP = flattened(kdump_compressed(memory_with_log()))


def put(account: Account, name: str, data: bytes) -> None:
    account.bucket.PutObject({"Key": KEYS[name], "Body": data})


def open_it(context: Any, size_bytes: int = len(DUMP), **more: Any) -> dict[str, Any]:
    upload = Upload(
        upload_id="u", vmcore_path="/x", size_bytes=size_bytes, modified_epoch=1, part_bytes=1000, parts_per_batch=3
    )
    IncidentTable(aws.TABLE).update(INCIDENT, {"upload": upload.model_dump(by_alias=True)})
    return open_vmcore.handler({"incident": OPENED, **more}, context)


@pytest.fixture
def dump(account: Account) -> None:
    open_incident()
    put(account, "vmcore", DUMP)


@pytest.mark.usefixtures("dump")
def test_what_the_dump_says_of_itself_is_told_and_stands_in_the_timeline(account: Account, context: Any) -> None:
    put(account, "dmesg", LOG_TEXT.encode())
    assert open_it(context) == {
        "format": "kdump-compressed, flattened",
        "architecture": "x86_64",
        "kernelRelease": RELEASE,
        "buildId": BUILD_ID,
        "kaslrOffset": "0x1c00000",
        "hasKallsyms": True,
        "cpus": 0,
        "idleCpus": 0,
        "panicLine": "Kernel panic - not syncing: NMI: Not continuing",
        "isLogWritten": False,
        "problems": [],
    }
    assert KEYS["log"] not in account.bucket.objects
    known = IncidentTable(aws.TABLE).read(INCIDENT)
    assert known is not None
    assert known.timeline[-1]["event"] == "opened"
    assert RELEASE in known.timeline[-1]["detail"]


@pytest.mark.usefixtures("dump")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="empty"),
        pytest.param(LOG_TEXT[:100].encode(), id="cut"),
        pytest.param(LOG_TEXT[-60:].encode(), id="beginning-lost"),
    ],
)
def test_the_log_in_the_dump_is_written_where_the_text_lacks_some_of_it(
    account: Account, context: Any, text: bytes | None
) -> None:
    if text is not None:
        put(account, "dmesg", text)
    assert open_it(context)["isLogWritten"] is True
    assert account.bucket.objects[KEYS["log"]].data.decode() == LOG_TEXT
    assert account.bucket.objects[KEYS["log"]].parameters["SSEKMSKeyId"] == aws.KEY_ARN


@pytest.mark.usefixtures("dump")
def test_a_text_that_says_more_is_left_as_it_is(account: Account, context: Any) -> None:
    # Other prefixes, and a line that the ring buffer has lost since.
    other = "<6>[    0.000000] an older line\n" + LOG_TEXT.replace("[", "<5>[")
    put(account, "dmesg", other.encode())
    assert open_it(context)["isLogWritten"] is False


@pytest.mark.usefixtures("dump")
def test_only_ranges_of_the_vmcore_are_read(account: Account, context: Any) -> None:
    open_it(context)
    read = [call for call in account.named("GetObject") if call["Key"] == KEYS["vmcore"]]
    assert read
    assert all(call["Range"] for call in read)


@pytest.mark.usefixtures("dump")
def test_the_record_says_which_object_is_opened_not_the_event(account: Account, context: Any) -> None:
    others = {name: f"{key}-of-somebody-else" for name, key in KEYS.items()}
    open_it(context, verified={"key": others["vmcore"], "sizeBytes": 9}, keys=others)
    assert {call["Key"] for call in account.named("GetObject")} == {KEYS["vmcore"], KEYS["dmesg"]}
    assert KEYS["log"] in account.bucket.objects


@pytest.mark.usefixtures("dump")
def test_an_object_shorter_than_was_verified_does_not_open(context: Any) -> None:
    with pytest.raises(VmcoreUnreadable):
        open_it(context, size_bytes=len(DUMP) + 1)


@pytest.mark.usefixtures("dump")
def test_a_bucket_that_refuses_is_named(account: Account, context: Any) -> None:
    account.fail("GetObject", "AccessDenied")
    with pytest.raises(BucketRefused, match="refused GetObject"):
        open_it(context)
