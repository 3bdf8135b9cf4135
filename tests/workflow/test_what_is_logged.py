"""What all functions say in a whole run: the metrics and fields that the dashboard, the alarms and the queries ask for,
whose incident it is, and nothing that may not be in a log."""

import base64
import json
import os
import re
from collections.abc import Iterable
from typing import Any

import pytest

from lab.aws.lambda_ import FunctionFailed
from lambdas.runtime.telemetry_names import BROKEN_DOWN_BY, NAMESPACE, SERVICE, Line, LogField, Metric
from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost
from tests.workflow.test_collect_vmcore import alarm_event, collection_of
from tests.workflow.test_sweep import sweep

# What the functions that read a whole collection say, each of it the incident's.
IN_A_COLLECTION = (
    *("open_incident", "watch_dump", "plan_upload", "verify_vmcore", "open_vmcore", "conclude_incident"),
    *("respond_to_hang", "send_diagnostic_interrupt"),
)
# Any of AWS's signatures, and any URL with a query, which is what a presigned one is.
SECRET = re.compile(r"X-Amz-|x-amz-security-token|Signature=|AWSAccessKeyId|https?://\S+\?", re.IGNORECASE)
CANARY = os.urandom(24)


class Story:
    """`lines`: function → what it wrote; `incident_id` of the captured one, `instance_id` of the instance."""

    def __init__(self, lines: dict[str, list[str]], incident_id: str, instance_id: str, manifests: list[bytes]) -> None:
        self.lines = lines
        self.incident_id = incident_id
        self.instance_id = instance_id
        self.manifests = manifests

    def everything(self) -> list[str]:
        return [line for written in self.lines.values() for line in written]

    def objects(self, function: str = "") -> list[dict[str, Any]]:
        """The lines that are JSON, of one function or of all."""
        lines = self.lines[f"Hangdump-{function}"] if function else self.everything()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def metrics(self) -> list[dict[str, Any]]:
        return [each for each in self.objects() if "_aws" in each]

    def said(self, function: str = "") -> list[dict[str, Any]]:
        return [each for each in self.objects(function) if "_aws" not in each]


@pytest.fixture(scope="module")
def story(stack: Stack) -> Story:
    """A hang that is captured, one by hand, a false alarm, an alarm without an instance, two sweeps, and an event that
    is none."""
    account = stack.account
    before = {name: len(lines) for name, lines in account.logs.items()}
    host = SimulatedHost()
    host.is_reserved = True
    host.dump_bytes += CANARY * 400_000
    instance_id = account.add_instance(host.machine, tags={"hangdump:enrolled": "true"})
    account.check_status_now(instance_id)
    assert stack.run("ProvisionDumpVolume", instanceId=instance_id)["status"] == "SUCCEEDED"
    host.machine.hang()
    captured = collection_of(stack, instance_id)["output"]
    assert captured["verdict"] == "captured"
    stack.wait_until_online(instance_id)
    account.client("cloudwatch").disable_alarm_actions(AlarmNames=[f"hangdump-{instance_id}"])
    false_alarm = alarm_event(stack, instance_id)
    assert account.invoke("Hangdump-respond_to_hang", false_alarm)["decision"] == "refuse"
    no_instance = alarm_event(stack, instance_id)
    no_instance["alarmData"]["configuration"]["metrics"][0]["metricStat"]["metric"]["dimensions"] = {}
    for function, event in (("respond_to_hang", no_instance), ("verify_vmcore", {"incident": {"incidentId": "none"}})):
        with pytest.raises(FunctionFailed):
            account.invoke(f"Hangdump-{function}", event)
    # Within the cooldown of the first.
    assert stack.run("CollectVmcore", instanceId=instance_id, interrupt=True)["error"] == "refused"
    host.panic()
    stack.wait_until_online(instance_id)
    sweep(stack)
    lines = {name: written[before.get(name, 0) :] for name, written in account.logs.items()}
    return Story(lines, captured["incidentId"], instance_id, manifests(stack))


def manifests(stack: Stack) -> list[bytes]:
    """What the instances were given: the URLs that must not be in a log."""
    s3, bucket = stack.account.client("s3"), stack.outputs["VmcoreBucketName"]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="manifests/").get("Contents", [])
    return [s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed]


def leaks(lines: Iterable[str], memory: bytes) -> list[str]:
    """Lines with something signed, or with memory: as it is, in hexadecimal, in base64, escaped."""
    # base64 of a text depends on where in its group of three a byte stands
    encoded = {base64.b64encode(memory[start:])[:20].decode() for start in range(3)}
    forms = {*encoded, memory[:12].hex(), memory.decode("latin-1")[:12], repr(memory[:8])[2:-1]}
    forms |= {json.dumps(memory.decode("utf-8", "replace"))[1:-1][:24]}
    return [line for line in lines if SECRET.search(line) or any(form in line for form in forms)]


def test_the_metrics_that_are_asked_for_are_emitted(story: Story) -> None:
    emitted = {
        (metric["Name"], frozenset(dimensions))
        for line in story.metrics()
        for directive in line["_aws"]["CloudWatchMetrics"]
        if directive["Namespace"] == NAMESPACE
        for metric in directive["Metrics"]
        for dimensions in directive["Dimensions"]
    }
    only_broken_down = {Metric.PHASE_SECONDS, Metric.FLEET_INSTANCES}
    whole = {(each.value, frozenset({"service"})) for each in Metric if each not in only_broken_down}
    parts = {(each.value, frozenset({"service", dimension})) for each, dimension in BROKEN_DOWN_BY.items()}
    assert emitted == whole | parts
    assert {line["service"] for line in story.metrics()} == {SERVICE}


def test_the_fields_that_the_queries_read_are_logged(story: Story) -> None:
    logged = {field for line in story.said() for field in line}
    assert {*LogField, *Line} - logged == set()
    levels = {line["level"] for line in story.said()}
    assert {"INFO", "WARNING", "ERROR"} <= levels
    (took,) = [each for each in story.said("conclude_incident") if each.get("durations", {}).get("uploadSeconds")]
    assert {"alarmToInterruptSeconds", "interruptToOnlineSeconds", "uploadSeconds", "totalSeconds"} <= set(
        took["durations"]
    )


@pytest.mark.parametrize("function", IN_A_COLLECTION)
def test_every_line_of_a_collection_has_its_incident_and_its_instance(story: Story, function: str) -> None:
    lines = [each for each in story.said(function) if each["function_name"] == f"Hangdump-{function}"]
    # Not those of an event that names neither.
    lines = [each for each in lines if each.get(LogField.INCIDENT_ID) != "none" and "without one" not in str(each)]
    about = [each for each in lines if LogField.INCIDENT_ID in each]
    assert about
    assert all(each[LogField.INCIDENT_ID].endswith(each[LogField.INSTANCE_ID]) for each in about)
    unknown = [each for each in lines if each not in about and each["level"] == "INFO"]
    assert unknown == []


def test_the_lines_of_an_incident_read_like_its_story(story: Story) -> None:
    own = [each for each in story.said() if each.get(LogField.INCIDENT_ID) == story.incident_id]
    own.sort(key=lambda each: each["timestamp"])
    said = " | ".join(each["message"] for each in own)
    order = ("Alarm ", "Decision: interrupt", "Diagnostic interrupt sent", "Incident opened", "Verified ", "Verdict: ")
    assert [said.find(each) for each in order] == sorted(said.find(each) for each in order)
    assert -1 not in [said.find(each) for each in order]


def test_no_url_that_opens_something_and_no_memory_is_in_any_log(story: Story) -> None:
    # There were such URLs, and that memory was read.
    assert any(b"X-Amz-Signature" in each for each in story.manifests)
    assert len(story.everything()) > 100
    assert leaks(story.everything(), CANARY) == []


@pytest.mark.parametrize(
    "line",
    [
        "PUT http://10.0.2.100/b/k?partNumber=1&X-Amz-Signature=0123",
        "https://b.s3.amazonaws.com/k?versionId=1",
        CANARY.hex(),
        base64.b64encode(b"x" + CANARY * 3).decode(),
        json.dumps({"data": (CANARY * 2).decode("utf-8", "replace")}),
        repr(CANARY * 2),
    ],
    ids=["signed", "query", "hexadecimal", "base64", "json", "repr"],
)
def test_what_must_not_be_there_would_be_seen(line: str) -> None:
    assert leaks([line], CANARY) == [line]
