"""The sweep in the emulated account: real commands on the hosts, real records of the workflows."""

import json
from typing import Any

import pytest

from tests.workflow.conftest import AddInstance, Stack
from tests.workflow.simulated_host import SimulatedHost


def sweep(stack: Stack) -> list[dict[str, Any]]:
    """Its findings; every search must have succeeded, and the report be in the bucket."""
    result = stack.account.invoke("Hangdump-sweep", {})
    assert result["failures"] == []
    report = stack.account.client("s3").get_object(Bucket=stack.outputs["VmcoreBucketName"], Key=result["report"])
    findings: list[dict[str, Any]] = json.loads(report["Body"].read())["findings"]
    return findings


def of(instance_id: str, findings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in findings if each.get("instanceId") == instance_id}


def test_finds_the_dump_of_a_panic_that_happened_by_itself_and_leaves_it_there(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    host.panic()
    # A sweep asks only who is Online; on a slow machine the pings may have paused.
    stack.wait_until_online(ready_instance_id)

    found = of(ready_instance_id, sweep(stack))

    assert found["uncollected-dump"]["action"] == "report"
    assert "/var/crash/" in found["uncollected-dump"]["detail"]
    assert len(host.vmcores()) == 1
    ended = stack.run("CollectVmcore", instanceId=ready_instance_id)
    assert ended["output"]["verdict"] == "captured"
    assert of(ready_instance_id, sweep(stack)) == {}


def test_takes_the_mark_from_an_instance_that_lost_its_crash_kernel(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    finding = {"code": "crash-kernel-not-loaded", "severity": "error", "observed": "kexec_crash_loaded is 0"}
    host.findings = [finding | {"remedy": "run configure_kdump"}]

    found = of(ready_instance_id, sweep(stack))

    assert found["not-ready"]["isDone"] is True
    assert "hangdump:ready" not in stack.tags_of(ready_instance_id)
    # The gate refuses from now on, and provisioning it again makes it good.
    host.findings = []
    assert stack.run("ProvisionDumpVolume", instanceId=ready_instance_id)["output"]["status"] == "ready"
    assert of(ready_instance_id, sweep(stack)) == {}


def test_says_that_systems_manager_lost_a_ready_instance(
    stack: Stack, ready_instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.account.client("cloudwatch").disable_alarm_actions(AlarmNames=[f"hangdump-{ready_instance_id}"])
    monkeypatch.setattr(stack.account.computer(ready_instance_id), "in_ssm", False)

    found = of(ready_instance_id, sweep(stack))

    assert "not registered" in found["ready-but-unreachable"]["detail"]
    assert "hangdump:ready" in stack.tags_of(ready_instance_id)


def test_interrupts_nothing_and_changes_nothing_on_a_host_that_is_well(
    stack: Stack, host: SimulatedHost, add_instance: AddInstance, ready_instance_id: str
) -> None:
    before = stack.tags_of(ready_instance_id), stack.volumes_of(ready_instance_id), stack.alarms_of(ready_instance_id)

    assert of(ready_instance_id, sweep(stack)) == {}

    after = stack.tags_of(ready_instance_id), stack.volumes_of(ready_instance_id), stack.alarms_of(ready_instance_id)
    assert after == before
    assert host.machine.nmi_count == 0
    assert host.machine.reboot_count == 0
