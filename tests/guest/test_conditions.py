"""What looks like a hang and what is one, each on a real kernel: the gate's decision is that of docs/safety.md.

An alarm asks about the instance, and the deployed stack answers in a dry run, so that the guest is left as it is. With
UPDATE_SNAPSHOTS=1 each test notes what was seen in results/conditions.json and in the page.
"""

import base64
import gzip
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_snake

from lab.guest import hang, wait_until
from lab.machines.machine import Counters
from lambdas.respond.decision import Evidence
from lambdas.respond.proof_rules import proof_of
from tests.guest import conditions, crash_module
from tests.guest.kernel_packages import ensure_headers
from tests.guest.region import Region, Victim, hangdump_region
from tests.lambdas.alarm_events import alarm_action, query

pytestmark = [pytest.mark.guest, pytest.mark.nightly, pytest.mark.timeout(900)]

# Longer than two pings of the account, and 12 minutes at its scale.
SILENCE_SECONDS = 80
# An idle guest takes 3 %; one that spins has all that this computer can spare.
_BUSY_PERCENT = 25


def _script(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sh").read_text()


@pytest.fixture(scope="module")
def region(armed_state: Path, guest_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    work = tmp_path_factory.mktemp("conditions")
    with hangdump_region(work, armed=armed_state, image=guest_image, settings={"dryRun": True}) as region:
        _stop_watching(region)
        yield region


def _stop_watching(region: Region) -> None:
    """Each test asks itself, once."""
    events = region.account.client("events")
    for rule in events.list_rules()["Rules"]:
        targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        watching = [each["Id"] for each in targets if each["Arn"].endswith("watch_fleet")]
        if watching:
            events.remove_targets(Rule=rule["Name"], Ids=watching)


@pytest.fixture
def case(region: Region) -> Iterator["Case"]:
    """An instance whose agent has just pinged and whose check passes."""
    with region.victim() as victim:
        region.account.check_status_now(victim.instance_id)
        yield Case(region, victim)


@dataclass
class Case:
    """One instance, the onset of its condition, and what was counted since."""

    region: Region
    victim: Victim
    began: float = 0.0
    counted: Counters | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def begin(self) -> None:
        """The onset is now."""
        self.began, self.counted = time.monotonic(), self.victim.guest.counters()

    def wait(self, seconds: float) -> None:
        """Until the onset is so long ago; the account goes on observing."""
        wait_until(
            lambda: time.monotonic() >= self.began + seconds,
            what=f"{seconds:.0f} s since the onset",
            timeout_seconds=seconds + 1,
        )

    def wait_until_impaired(self) -> None:
        """For as long as the gate wants the check to have failed."""
        computer = self.region.account.computer(self.victim.instance_id)
        wait_until(lambda: computer.instance_check == "impaired", what="the check fails", timeout_seconds=60)

    def wait_until_said(self, text: str, *, times: int) -> None:
        wait_until(
            lambda: self.victim.news().count(text) >= times, what=f"{text!r} on the console", timeout_seconds=240
        )

    def decide(self, condition: str) -> dict[str, Any]:
        """The gate's answer to an alarm on the instance, with what it saw."""
        guest, instance_id = self.victim.guest, self.victim.instance_id
        arp, counted, seconds = guest.answers_arp(3), guest.counters(), time.monotonic() - self.began
        at = datetime.now(UTC)
        event = alarm_action(query(instance_id), name=f"an-alarm-{instance_id}", at=f"{at:%Y-%m-%dT%H:%M:%S.000+0000}")
        answer = self.region.account.invoke("Hangdump-respond_to_hang", event)
        to_decision = time.monotonic() - self.began
        record = self.region.records()[answer["incidentId"]]
        print(condition, answer, record["detail"], record["evidence"])
        seen = record["evidence"]
        return {
            "condition": condition,
            "signals": {
                "arp": arp,
                "probe": self.notes.get("probe") or _probe(seen),
                "ping_age_seconds": int(seen["nowEpoch"] - seen["lastPingEpoch"]),
                **_rates(self.counted, counted, seconds),
                "console": _console(seen),
            },
            "decision": answer["decision"],
            # A dry run says only that every rule agrees.
            "reason": proof_of(_evidence(seen)) if answer["decision"] == "dry-run" else answer["reason"],
            "seconds_to_decision": round(to_decision),
        }


def _evidence(seen: dict[str, Any]) -> Evidence:
    return Evidence(**{to_snake(name): value for name, value in seen.items()})


def _probe(seen: dict[str, Any]) -> str:
    if "isProbeAnswered" not in seen:
        return "not needed"
    return "executed" if seen["isProbeAnswered"] else "unanswered"


def _console(seen: dict[str, Any]) -> str:
    if seen.get("consoleLockups"):
        return f"{seen['consoleLockups']} lockups or stalls"
    if seen.get("consoleHungTasks"):
        return f"{seen['consoleHungTasks']} hung tasks in {seen['consoleHungTaskScans']} scans"
    return "silent"


def _rates(before: Counters | None, after: Counters | None, seconds: float) -> dict[str, int]:
    assert before is not None
    assert after is not None
    operations = after.reads + after.writes - before.reads - before.writes
    return {
        "cpu_percent": round(100 * (after.cpu_seconds - before.cpu_seconds) / (seconds * after.processors)),
        "ebs_operations_per_minute": round(60 * operations / seconds),
    }


def assert_decides(outcome: dict[str, Any], action: str, reason: str, *, arp: bool) -> None:
    assert (outcome["decision"], outcome["reason"], outcome["signals"]["arp"]) == (action, reason, arp), outcome
    if os.environ.get("UPDATE_SNAPSHOTS"):
        conditions.note(outcome)


def test_all_processors_with_interrupts_off_are_a_deaf_kernel_that_an_nmi_reaches(case: Case, tmp_path: Path) -> None:
    release = case.victim.run("uname -r")
    module = crash_module.build(ensure_headers(release), tmp_path / "module")
    packed = base64.b64encode(gzip.compress(module.with_name("stripped.ko").read_bytes())).decode()
    case.victim.run(f"base64 -d <<<'{packed}' | gzip -d >/root/hangdump_crash.ko")
    case.begin()
    case.victim.guest.spawn("#!/bin/sh\nexec insmod /root/hangdump_crash.ko crash_class=all-deaf\n")
    case.wait_until_said("hears nothing any more", times=2)
    case.wait_until_impaired()

    outcome = case.decide("all CPUs spin, interrupts off")

    assert_decides(outcome, "dry-run", "kernel-deaf", arp=False)
    assert outcome["signals"]["cpu_percent"] > _BUSY_PERCENT
    case.victim.guest.inject_nmi()
    # The crash kernel: the panicking one does not get to its console any more.
    case.wait_until_said("elfcorehdr=", times=1)


def test_real_time_tasks_that_starve_the_rest_are_proven_by_the_kernels_own_words(case: Case) -> None:
    case.begin()
    hang(case.victim.guest, answers_arp=True)
    case.wait_until_said("rcu: INFO: ", times=2)

    outcome = case.decide("real-time tasks starve the rest")

    assert_decides(outcome, "dry-run", "kernel-says-so", arp=True)
    assert outcome["signals"]["cpu_percent"] > _BUSY_PERCENT


def test_real_time_tasks_that_starve_the_network_too_are_a_deaf_kernel(case: Case) -> None:
    case.begin()
    hang(case.victim.guest)
    case.wait_until_impaired()

    outcome = case.decide("real-time tasks starve the rest and the network")

    assert_decides(outcome, "dry-run", "kernel-deaf", arp=False)


def test_deadlocked_file_system_is_proven_by_hung_tasks(case: Case) -> None:
    case.begin()
    case.victim.guest.spawn(_script("freeze_root"), environment={"WRITERS": "4"})
    case.wait_until_said("INFO: task ", times=7)

    outcome = case.decide("file system deadlock")

    assert_decides(outcome, "dry-run", "kernel-says-so", arp=True)


def test_network_that_is_down_looks_deaf_until_the_writes_after_the_onset_are_published(case: Case) -> None:
    """Hangdump compares a whole period of writes after the onset with one that ended well before it."""
    case.victim.guest.spawn(_script("write_steadily"))
    case.begin()
    case.wait(100)
    case.victim.guest.set_link(is_up=False)
    case.begin()
    case.wait_until_impaired()
    early = case.decide("network down, machine healthy, metrics not yet published")
    case.wait(120)
    case.region.account.stretch_past(case.victim.instance_id)

    outcome = case.decide("network down, machine healthy")

    # What hypervisorEvidence: required is for.
    assert_decides(early, "dry-run", "kernel-deaf", arp=False)
    assert_decides(outcome, "refuse", "still-works", arp=False)


def test_agent_that_was_killed_days_ago_proves_nothing(case: Case) -> None:
    """Nobody waits for days in a test: its last ping is moved back."""
    case.begin()
    case.victim.guest.kill_agent()
    computer = case.region.account.computer(case.victim.instance_id)
    computer.last_ping = datetime.now(UTC) - timedelta(days=3)

    outcome = case.decide("agent dead for days, machine healthy")

    assert_decides(outcome, "refuse", "agent-was-dead", arp=True)


def test_agent_that_is_stopped_on_a_healthy_kernel_is_told_and_not_interrupted(case: Case) -> None:
    guest = case.victim.guest
    guest.spawn(_script("stop_idle_agent"), environment={"SECONDS_BEFORE": str(SILENCE_SECONDS)})
    wait_until(lambda: not guest.answers(3), what="the agent is silent", timeout_seconds=SILENCE_SECONDS + 60)
    case.begin()
    case.wait(SILENCE_SECONDS)
    case.region.account.stretch_past(case.victim.instance_id)

    outcome = case.decide("agent stopped, machine healthy")

    assert_decides(outcome, "refuse", "suspected-hang", arp=True)


def test_volume_that_stalls_is_left_to_ebs(case: Case) -> None:
    guest, account = case.victim.guest, case.region.account
    ec2 = account.client("ec2")
    volume_id = ec2.create_volume(AvailabilityZone=f"{account.region}a", Size=1, VolumeType="gp3")["VolumeId"]
    server = guest.serve_disk(volume_id, size_gib=1)
    wait_until(
        lambda: ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"] == "available",
        what="the volume is available",
        timeout_seconds=30,
    )
    ec2.attach_volume(VolumeId=volume_id, InstanceId=case.victim.instance_id, Device="/dev/sdg")
    serial = volume_id.replace("-", "")
    disk = wait_until(
        lambda: case.victim.run(f"lsblk -dno NAME,SERIAL | awk '$2 == \"{serial}\" {{ print $1 }}'"),
        what="the disk in the guest",
        timeout_seconds=60,
    )
    case.begin()
    server.stall()
    guest.spawn(f"#!/bin/sh\nexec dd if=/dev/zero of=/dev/{disk} bs=4k count=1 oflag=direct\n")
    wait_until(lambda: case.victim.run("ps -C dd -o state= || true") == "D", what="dd in state D", timeout_seconds=60)
    account.check_status_now(case.victim.instance_id)

    outcome = case.decide("EBS volume stalled")

    assert_decides(outcome, "refuse", "ebs-check-failed", arp=True)


def test_process_ids_that_are_exhausted_are_no_hang(case: Case) -> None:
    """Its agent pings, and says that it cannot start the probe: that is an answer."""
    case.begin()
    case.victim.guest.spawn(_script("exhaust_pids"))
    wait_until(lambda: _status_of_probe(case) == "Failed", what="the probe fails", timeout_seconds=120)
    case.notes["probe"] = "fails to start"
    case.region.account.check_status_now(case.victim.instance_id)

    outcome = case.decide("process ids exhausted")

    assert_decides(outcome, "refuse", "status-check-passes", arp=True)


def _status_of_probe(case: Case) -> str:
    ssm = case.region.account.client("ssm")
    (name,) = (each["Name"] for each in ssm.list_documents()["DocumentIdentifiers"] if "probe_instance" in each["Name"])
    sent = ssm.send_command(DocumentName=name, InstanceIds=[case.victim.instance_id])["Command"]["CommandId"]

    def status() -> str:
        (invocation,) = ssm.list_command_invocations(CommandId=sent)["CommandInvocations"]
        return str(invocation["Status"]) if invocation["Status"] not in ("Pending", "InProgress") else ""

    return wait_until(status, what="the probe's end", timeout_seconds=60)
