"""A hang that is captured by the real upload_vmcore, and what all functions log on the way: the metrics and fields that
dashboard, alarms and queries ask for, each line's incident, and nothing that may not be in a log."""

import base64
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.aws.lambda_ import FunctionFailed
from lambdas.runtime.telemetry_names import BROKEN_DOWN_BY, NAMESPACE, SERVICE, Line, LogField, Metric
from tests.workflow.conftest import EXECUTION_SECONDS, Stack
from tests.workflow.simulated_host import SimulatedHost

pytestmark = pytest.mark.slow

# What the functions that read a whole collection say, each of it the incident's.
IN_A_COLLECTION = (
    *("open_incident", "watch_dump", "plan_upload", "verify_vmcore", "open_vmcore", "conclude_incident"),
    *("respond_to_hang", "send_diagnostic_interrupt"),
)
# Any of AWS's signatures, and any URL with a query, which is what a presigned one is.
SECRET = re.compile(r"X-Amz-|x-amz-security-token|Signature=|AWSAccessKeyId|https?://\S+\?", re.IGNORECASE)
CANARY = os.urandom(24)


@dataclass
class Story:
    """A captured hang and what followed it; `lines`: function -> what it wrote meanwhile."""

    verdict: dict[str, Any]
    host: SimulatedHost
    stored: dict[str, bytes]
    left_on_host: list[Path]
    findings: list[dict[str, Any]] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict)
    manifests: list[bytes] = field(default_factory=list)

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
    """A hang that is captured, a false alarm, two events that no function can read, an interrupt within the cooldown, a
    panic by itself, and a sweep that finds its dump."""
    host = SimulatedHost()
    host.dump_bytes += CANARY * 400_000
    before = {name: len(lines) for name, lines in stack.account.logs.items()}
    instance_id = stack.add_ready(host)
    host.machine.hang()
    ended = stack.account.wait_for_execution(stack.collection_of(instance_id), timeout_seconds=EXECUTION_SECONDS)
    story = Story(ended["output"], host, stack.objects_of(instance_id), host.vmcores())
    stack.wait_until_online(instance_id)
    _say_all_the_rest(stack, instance_id)
    host.panic()
    stack.wait_until_online(instance_id)
    swept = stack.account.invoke("Hangdump-sweep", {})
    story.findings = [each for each in _findings(stack, swept) if each.get("instanceId") == instance_id]
    story.lines = {name: written[before.get(name, 0) :] for name, written in stack.account.logs.items()}
    story.manifests = manifests(stack)
    return story


def _say_all_the_rest(stack: Stack, instance_id: str) -> None:
    """Refusals and errors."""
    alarm = f"hangdump-{instance_id}"
    event, without_instance = (alarm_event(stack, alarm, each) for each in ({"InstanceId": instance_id}, {}))
    stack.account.client("cloudwatch").disable_alarm_actions(AlarmNames=[alarm])
    assert stack.account.invoke("Hangdump-respond_to_hang", event)["decision"] == "refuse"
    assert stack.account.invoke("Hangdump-respond_to_hang", without_instance)["reason"] == "invalid-alarm"
    for function, wrong in (
        ("respond_to_hang", {"source": "nobody"}),
        ("verify_vmcore", {"incident": {"incidentId": "none"}}),
    ):
        with pytest.raises(FunctionFailed):
            stack.account.invoke(f"Hangdump-{function}", wrong)
    ended = stack.run("CollectVmcore", instanceId=instance_id, interrupt=True)
    assert ended["error"] == "refused", ended


def _findings(stack: Stack, swept: dict[str, Any]) -> list[dict[str, Any]]:
    assert swept["failures"] == []
    findings: list[dict[str, Any]] = json.loads(stack.content(swept["report"]))["findings"]
    return findings


def manifests(stack: Stack) -> list[bytes]:
    """What the instances were given: the URLs that must not be in a log."""
    listed = stack.account.client("s3").list_objects_v2(Bucket=stack.bucket, Prefix="manifests/").get("Contents", [])
    return [stack.content(each["Key"]) for each in listed]


def leaks(lines: Iterable[str], memory: bytes) -> list[str]:
    """Lines with something signed, or with memory: as it is, in hexadecimal, in base64, escaped."""
    # base64 of a text depends on where in its group of three a byte stands
    encoded = {base64.b64encode(memory[start:])[:20].decode() for start in range(3)}
    forms = {*encoded, memory[:12].hex(), memory.decode("latin-1")[:12], repr(memory[:8])[2:-1]}
    forms |= {json.dumps(memory.decode("utf-8", "replace"))[1:-1][:24]}
    return [line for line in lines if SECRET.search(line) or any(form in line for form in forms)]


def test_the_vmcore_of_the_hang_is_in_the_bucket_and_no_longer_on_the_instance(story: Story) -> None:
    assert story.verdict["verdict"] == "captured"
    assert story.stored["vmcore"] == story.host.dump_bytes
    assert b"NMI: Not continuing" in story.stored["vmcore-dmesg.txt"]
    assert story.left_on_host == []
    assert story.host.machine.nmi_count == 1


def test_a_sweep_finds_the_dump_of_a_later_panic_and_leaves_it_there(story: Story) -> None:
    (found,) = story.findings
    assert (found["kind"], found["action"]) == ("uncollected-dump", "report")
    assert len(story.host.vmcores()) == 1


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
    own = [each for each in story.said() if each.get(LogField.INCIDENT_ID) == story.verdict["incidentId"]]
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


def alarm_event(stack: Stack, name: str, dimensions: dict[str, str]) -> dict[str, Any]:
    """What CloudWatch sends to a Lambda action (facts of its documentation; the account's own alarms send the same)."""
    account, region = stack.account.account_id, stack.account.region
    # An incident is named by its second: in this one, others begin.
    earlier = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="milliseconds")
    metric = {"namespace": "AWS/EC2", "name": "StatusCheckFailed_Instance", "dimensions": dimensions}
    stat = {"metric": metric, "period": 60, "stat": "Maximum"}
    return {
        "source": "aws.cloudwatch",
        "alarmArn": f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
        "accountId": account,
        "time": earlier,
        "region": region,
        "alarmData": {
            "alarmName": name,
            "state": {"value": "ALARM", "reason": "threshold crossed", "timestamp": earlier},
            "previousState": {"value": "OK", "timestamp": "2026-11-23T03:00:00.000+0000"},
            "configuration": {"metrics": [{"id": "m1", "metricStat": stat, "returnData": True}]},
        },
    }
