"""enrol, interrupt, interrupts, retire, dump and doctor: what they do to an account, and what they refuse."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hangdump_cli.aws import Clock
from lab.simulator.modelled_documents import ModelledHost
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from lambdas.runtime.stack_parameter import BOOTSTRAP_PARAMETER
from tests.hangdump_cli.runner import CLOCK, answer, hangdump


def _started(world: World) -> list[str]:
    return [each.state_machine.name for each in world.executions()]


# ---- enrol


def test_a_plan_tells_volume_cost_reboot_and_quotas_and_touches_nothing(world: World) -> None:
    _, fresh = world.add_host(tags={"Name": "db-1"})

    said = hangdump("enrol", "--plan", fresh, world.instance_id)

    assert said.exit_code == 0, said.output
    for words in ("new, 8 GiB", "keeps vol-", "yours, if kdump needs memory", "0.74", "TiB of gp3 volumes", "of 5,000"):
        assert words in said.stdout
    assert world.tags_of(fresh) == {"Name": "db-1"}
    assert world.volumes_of(fresh) == []
    assert _started(world) == []


def test_a_plan_that_cannot_work_says_which_instance_and_why(world: World) -> None:
    _, small = world.add_host(tags={}, instance_type="t3.nano")
    plan = answer("enrol", "--plan", small)
    assert (plan["isPossible"], plan["instances"][0]["obstacle"]) == (False, "InsufficientMemory")
    assert hangdump("enrol", "--plan", small).exit_code == 1


def test_enrols_an_untagged_instance_and_follows_it_until_it_is_ready(world: World) -> None:
    _, fresh = world.add_host(tags={}, is_reserved=True)

    said = hangdump("enrol", fresh)

    assert said.exit_code == 0, said.output
    assert "ready" in said.stdout
    tags = world.tags_of(fresh)
    assert (tags["hangdump:enrolled"], "hangdump:ready" in tags) == ("true", True)
    # Each state once, one a line, as nobody looks at a terminal.
    steps = said.stderr.splitlines()
    assert f"Enrolling: {fresh}: " in steps[0]
    assert len(steps) == len(set(steps))


def test_reboots_only_when_asked(world: World) -> None:
    host, fresh = world.add_host(tags={})

    left = hangdump("enrol", fresh)
    assert (left.exit_code, "needs a reboot" in left.stdout, host.reboots) == (1, True, 0)

    done = hangdump("enrol", fresh, "--reboot")
    assert (done.exit_code, host.reboots) == (0, 1)


def test_shows_the_findings_of_an_instance_that_is_not_ready(world: World) -> None:
    host, fresh = world.add_host(tags={}, is_reserved=True)
    host.is_ready = False
    said = hangdump("enrol", fresh)
    assert said.exit_code == 1
    for words in ("crash-kernel-not-loaded", "load it", "Follow the remedy in each finding"):
        assert words in said.stdout


def test_warns_of_an_alarm_that_would_reboot_the_instance_first(world: World) -> None:
    world.account.client("cloudwatch").put_metric_alarm(
        AlarmName="reboot-it",
        Namespace="AWS/EC2",
        MetricName="StatusCheckFailed",
        Dimensions=[{"Name": "InstanceId", "Value": world.instance_id}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[f"arn:aws:automate:{world.account.region}:ec2:reboot"],
    )
    said = hangdump("enrol", world.instance_id)
    assert (said.exit_code, "Your alarm reboot-it: reboot would act on" in said.stdout) == (0, True)


def test_refuses_an_instance_that_can_never_dump_before_it_touches_any(world: World) -> None:
    _, fresh = world.add_host(tags={})
    _, silent = world.add_host(tags={}, in_ssm=False)

    said = hangdump("enrol", fresh, silent)

    assert said.exit_code == 4
    assert said.stderr.startswith("InstanceNotManaged: ")
    assert world.tags_of(fresh) == {}
    assert _started(world) == []


def test_refuses_what_a_quota_has_no_room_for(world: World) -> None:
    _, fresh = world.add_host(tags={})
    world.account.state.quotas["L-7A658B76"] = 0.008
    said = hangdump("enrol", fresh)
    assert (said.exit_code, said.stderr.startswith("QuotaTooSmall: ")) == (4, True)
    assert world.volumes_of(fresh) == []


def test_waits_no_longer_than_it_was_told_and_the_execution_goes_on(world: World) -> None:
    _, fresh = world.add_host(tags={}, is_reserved=True)
    said = hangdump("enrol", fresh, "--timeout", "0.1")
    assert (said.exit_code, "The execution goes on: arn:aws:states" in said.stdout) == (5, True)
    world.settle()
    assert "hangdump:ready" in world.tags_of(fresh)


def test_starts_without_waiting(world: World) -> None:
    _, fresh = world.add_host(tags={}, is_reserved=True)
    said = answer("enrol", fresh, "--no-wait")
    assert said["instances"][0]["executionArn"].startswith("arn:aws:states")
    assert _started(world) == ["ProvisionDumpVolume"]


def test_a_second_enrolment_of_a_ready_instance_changes_nothing(world: World) -> None:
    volumes = world.volumes_of(world.instance_id)
    assert hangdump("enrol", world.instance_id).exit_code == 0
    assert world.volumes_of(world.instance_id) == volumes


def test_ctrl_c_ends_the_waiting_in_one_line_that_names_what_goes_on(world: World) -> None:
    _, fresh = world.add_host(tags={}, is_reserved=True)

    def cut(_: float) -> None:
        raise KeyboardInterrupt

    said = hangdump("enrol", fresh, clock=Clock(now=CLOCK.now, sleep=cut))

    assert said.exit_code == 130
    *_, last = said.stderr.splitlines()
    assert last.startswith("Interrupted. The execution goes on: arn:aws:states")
    assert "Traceback" not in said.output


# ---- reboot


def _waiting(world: World, count: int, **instance: Any) -> dict[str, ModelledHost]:
    """Configured hosts whose memory only a boot reserves."""
    added = [world.add_host(**instance) for _ in range(count)]
    for _, instance_id in added:
        world.run("ProvisionDumpVolume", instanceId=instance_id)
    return {instance_id: host for host, instance_id in added}


def test_reboots_whoever_waits_for_it_and_nobody_else(world: World) -> None:
    waiting = _waiting(world, 2)

    said = answer("reboot", "--yes")

    assert {each["instanceId"]: each["isReady"] for each in said["instances"]} == dict.fromkeys(waiting, True)
    assert [host.reboots for host in waiting.values()] == [1, 1]
    assert world.host.reboots == 0
    assert answer("reboot", "--yes")["instances"] == []


def test_a_plan_of_reboots_has_one_of_a_group_in_a_wave_and_touches_nothing(world: World) -> None:
    group = {"hangdump:enrolled": "true", "aws:autoscaling:groupName": "web"}
    members, others = _waiting(world, 2, tags=group), _waiting(world, 1)

    plan = answer("reboot", "--plan")["instances"]

    waves = {each["instanceId"]: each["wave"] for each in plan}
    assert sorted(waves[each] for each in members) == [1, 2]
    assert [waves[each] for each in others] == [1]
    assert sum(host.reboots for host in [*members.values(), *others.values()]) == 0


def test_the_wave_after_one_that_does_not_come_back_is_not_begun(world: World) -> None:
    group = {"hangdump:enrolled": "true", "aws:autoscaling:groupName": "web"}
    members = _waiting(world, 2, tags=group)
    for host in members.values():
        host.is_ready = False

    said = hangdump("reboot", "--yes")

    assert said.exit_code == 1
    assert "not rebooted, as one before it is not ready" in said.stdout
    assert sum(host.reboots for host in members.values()) == 1


def test_reboots_nobody_without_a_yes_nor_an_instance_that_is_not_enrolled(world: World) -> None:
    (host,) = _waiting(world, 1).values()
    _, stranger = world.add_host(tags={})
    assert hangdump("reboot", typed="9\n").exit_code == 4
    refused = hangdump("reboot", "--yes", stranger)
    assert (refused.exit_code, f"enrol --reboot {stranger}" in refused.stderr) == (4, True)
    assert host.reboots == 0


# ---- interrupt


def test_crashes_an_instance_on_request_and_shows_its_incident(world: World) -> None:
    world.host.hang()

    said = hangdump("interrupt", world.instance_id, typed=f"{world.instance_id}\n")

    assert said.exit_code == 0, said.output
    for words in (f"This CRASHES {world.instance_id}", "Interrupts: on", "dryRun: false", "running, t3.micro"):
        assert words in said.stderr
    assert "captured" in said.stdout
    assert len(world.vmcores()) == 1


@pytest.mark.parametrize("typed", ["yes\n", "\n", ""])
def test_starts_nothing_unless_the_id_is_typed(world: World, typed: str) -> None:
    said = hangdump("interrupt", world.instance_id, typed=typed)
    assert (said.exit_code, "dryRun: false" in said.stderr) == (4, True)
    assert _started(world) == []


def test_a_refused_interrupt_ends_with_4_and_says_what_to_do(world: World) -> None:
    hangdump("interrupts", "off")
    said = hangdump("interrupt", world.instance_id, "--yes")
    assert said.exit_code == 4, said.output
    assert "refused" in said.stdout
    assert "run `hangdump interrupts on`" in said.stdout


def test_interrupts_nothing_that_is_not_enrolled(world: World) -> None:
    _, other = world.add_host(tags={})
    said = hangdump("interrupt", other, "--yes")
    assert (said.exit_code, said.stderr.startswith("InstanceNotEnrolled: ")) == (4, True)
    assert _started(world) == []


def test_asks_nobody_when_the_answer_is_json(world: World) -> None:
    said = hangdump("interrupt", world.instance_id, "--json")
    assert (said.exit_code, json.loads(said.stdout)["next"]) == (2, "Give --yes.")
    assert _started(world) == []


# ---- interrupts, retire


def test_the_switch_goes_off_and_on_and_is_shown(world: World) -> None:
    assert answer("interrupts")["interrupts"] == "on"
    assert "Nothing is interrupted" in hangdump("interrupts", "off").stdout
    assert answer("interrupts") == {
        "schemaVersion": 1,
        "command": "interrupts",
        "stack": "Hangdump",
        "interrupts": "off",
        "before": "off",
    }
    assert answer("interrupts", "on")["before"] == "off"
    assert hangdump("interrupts", "of").exit_code == 2


def test_retires_an_instance_with_its_empty_volume_and_its_opt_in(world: World) -> None:
    (volume,) = [each["VolumeId"] for each in world.volumes_of(world.instance_id)]

    said = hangdump("retire", world.instance_id, "--yes")

    assert said.exit_code == 0, said.output
    for words in (f"{world.instance_id} ", "is retired. 192 MiB of memory are free again.", f"dump volume {volume}."):
        assert words in said.stdout
    assert world.volumes_of(world.instance_id) == []
    assert world.alarms_of(world.instance_id) == []
    assert world.tags_of(world.instance_id) == {}


def test_what_somebody_changed_since_and_a_volume_that_is_not_empty_are_told(world: World) -> None:
    left = [{"file": "/etc/kdump.conf", "key": "path", "found": "path /srv", "ours": "path /"}]
    result = {"status": "unconfigured", "volumeEmpty": False, "files": ["notes.txt"], "left": left}
    world.host.prints["unconfigure_kdump"] = result

    said = hangdump("retire", world.instance_id, "--yes")

    assert said.exit_code == 0, said.output
    for words in ("Kept: vol-", "notes.txt", "/etc/kdump.conf", "path /srv"):
        assert words in said.stdout


def test_an_instance_with_a_dump_is_not_retired(world: World) -> None:
    world.host.panic()
    scheduler.sleep(600)

    said = hangdump("retire", world.instance_id, "--yes")

    assert (said.exit_code, said.stderr.splitlines()[-2].startswith("DumpOnInstance: ")) == (4, True), said.output
    assert "CollectVmcore" in said.stderr
    assert len(world.volumes_of(world.instance_id)) == 1


def test_an_instance_that_is_being_collected_is_shown_and_not_retired(world: World) -> None:
    hangdump("interrupt", world.instance_id, "--yes", "--no-wait")

    said = hangdump("retire", world.instance_id, "--yes")
    assert (said.exit_code, said.stderr.startswith("ExecutionRunning: ")) == (4, True)
    assert world.alarms_of(world.instance_id)
    assert f"{world.instance_id} is being collected since" in hangdump("status").stdout
    seen = answer("why", world.instance_id)
    assert (seen["reason"], seen["wouldRefuse"][0]["reason"]) == ("being-collected", "incident-open")


# ---- uninstall


def test_a_plan_to_uninstall_tells_each_instance_and_what_remains_and_touches_nothing(world: World) -> None:
    _, silent = world.add_host(in_ssm=False)
    before = world.tags_of(world.instance_id)

    said = answer("uninstall", "--plan")

    assert {each["instanceId"]: each["obstacle"] for each in said["instances"]} == {
        world.instance_id: "",
        silent: "InstanceNotManaged",
    }
    assert len([each for each in said["remains"] if "delete-table" in each["command"]]) == 2
    assert _started(world) == []
    assert world.tags_of(world.instance_id) == before


def test_uninstalling_goes_on_after_an_instance_that_fails_and_can_be_repeated(world: World) -> None:
    broken, other = world.add_host(is_reserved=True)
    broken.fails_with["unconfigure_kdump"] = {"error": "ConfigurationFailed", "message": "It is busy."}

    said = hangdump("uninstall", "--yes", "--json")

    assert said.exit_code == 1
    assert {each["instanceId"]: each["error"] for each in json.loads(said.stdout)["instances"]} == {
        world.instance_id: "",
        other: "ConfigurationFailed",
    }
    del broken.fails_with["unconfigure_kdump"]
    again = answer("uninstall", "--yes")
    assert [each["instanceId"] for each in again["instances"]] == [other]
    assert answer("uninstall", "--yes")["instances"] == []


# ---- dump


def _captured(world: World) -> str:
    world.hang()
    (incident,) = world.records()
    return incident


def test_gets_the_vmcore_that_is_in_the_bucket(world: World, tmp_path: Path) -> None:
    incident = _captured(world)
    (content,) = world.vmcores().values()

    said = answer("dump", "get", incident, "--directory", str(tmp_path))

    assert Path(said["path"]).read_bytes() == content
    assert said["sizeBytes"] == len(content)


@pytest.mark.parametrize("incident", ["latest", "20200101T000000Z-i-0123456789abcdef0"])
def test_a_dump_that_is_not_there_is_an_error_of_the_users(world: World, incident: str) -> None:
    said = hangdump("dump", "get", incident)
    assert (said.exit_code, said.stderr.startswith("IncidentNotFound: ")) == (1, True)


def test_opening_a_dump_without_drgn_says_how_to_get_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("analysis.") and each != "analysis.command_line"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "drgn", None)
    said = hangdump("dump", "open", "20200101T000000Z-i-0123456789abcdef0")
    assert (said.exit_code, "pipx inject hangdump drgn" in said.stderr) == (1, True)


def test_opens_the_dump_that_it_fetched(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    incident = _captured(world)
    opened: list[Any] = []

    def open_dump(vmcore: Path, sources: Any, *, is_crash: bool) -> int:
        opened.append((vmcore.name, sources.vmlinux, is_crash))
        return 0

    monkeypatch.setattr("analysis.open_dump.open_dump", open_dump)
    said = hangdump("dump", "open", incident, "--directory", str(tmp_path), "--crash", "--vmlinux", "/dbg/vmlinux")
    assert (said.exit_code, opened) == (0, [("vmcore", Path("/dbg/vmlinux"), True)])


# ---- doctor


def test_doctor_finds_nothing_in_a_sound_account(world: World) -> None:
    said = hangdump("doctor")
    assert said.exit_code == 0, said.output
    for words in ("credentials", "bootstrap", "version 6", "agents", "CloudWatch alarms", "may interrupt and collect"):
        assert words in said.stdout


def test_doctor_names_a_missing_bootstrap_a_silent_agent_and_a_full_quota(world: World) -> None:
    world.account.client("ssm").delete_parameter(Name=BOOTSTRAP_PARAMETER)
    _, silent = world.add_host(in_ssm=False)
    world.account.state.quotas["L-7A658B76"] = 0.008

    said = hangdump("doctor")

    assert said.exit_code == 1
    failed = [line for line in said.stdout.splitlines() if line.startswith("FAIL")]
    assert [name in line for name, line in zip(("bootstrap", silent, "gp3"), failed, strict=True)] == [True] * 3


def test_doctor_goes_on_without_a_stack_as_far_as_it_can(world: World) -> None:
    said = hangdump("doctor", "--stack", "Elsewhere")
    assert (said.exit_code, "There is no stack Elsewhere" in said.stdout) == (1, True)
    assert "bootstrap" in said.stdout
