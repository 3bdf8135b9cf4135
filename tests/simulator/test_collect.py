"""CollectVmcore from the interrupt, or from a dump that is there, to the verdict."""

import json
import os
from typing import Any

import pytest

from lab.aws.iam.in_process import by_nobody
from lab.machines.composed_dump import BUILD_ID, LOG_TEXT, elf, kdump_compressed, memory_with_log
from lab.simulator.injection import Site
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from lambdas.runtime import moment

CRASH_KERNEL = "Linux version 6.1.0-28-cloud-amd64\nCommand line: root=/dev/nvme0n1p1 elfcorehdr=0x3c000000\n"


def objects(world: World) -> dict[str, bytes]:
    return world.objects_of(world.instance_id)


def fetch(world: World, **more: Any) -> dict[str, Any]:
    return world.run("CollectVmcore", instanceId=world.instance_id, **more)


def test_brings_home_the_vmcore_of_an_instance_that_hangs(world: World) -> None:
    ended = world.hang()

    assert ended["output"]["verdict"] == "captured"
    stored = objects(world)
    assert stored["vmcore"] == world.host.content
    assert b"NMI: Not continuing" in stored["vmcore-dmesg.txt"]
    incident = json.loads(stored["incident.json"])
    assert incident["verdict"] == "captured"
    before = {"before/console.txt", "before/screenshot.jpg", "before/status.json", "before/metrics.json"}
    assert before <= set(stored)
    assert {f"before/{key.rsplit('/', 1)[1]}" for name, key in incident["keys"].items() if "Before" in name} == before
    assert b"elfcorehdr" not in stored["before/console.txt"]
    assert (world.host.disk, world.removed_unproven, len(world.host.nmis)) == ([], [], 1)


def test_a_collection_whose_record_is_deleted_ends_with_a_verdict(world: World) -> None:
    """The failed call reads whether the interrupt was sent, and finds nothing."""

    def delete_record(site: Site) -> None:
        if site == Site("CollectVmcore / Send diagnostic interrupt", "lambda:Invoke"):
            with by_nobody(scheduler.current_context()):
                (incident,) = world.records()
                key = {"pk": {"S": f"incident#{incident}"}}
                world.account.client("dynamodb").delete_item(TableName=os.environ["TABLE_NAME"], Key=key)

    world.injection.at_new_site = delete_record
    world.host.hang()

    ended = fetch(world, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", "failed")
    assert "in the table" in ended["cause"]
    assert world.host.nmis == []


def test_an_instance_is_ready_again_right_after_its_dump(world: World) -> None:
    """Its reboot has disarmed it: without this, the next hang would be refused until a sweep."""
    ended = world.hang()

    assert ended["output"]["reason"].endswith("It is ready to dump again.")
    assert moment.epoch(moment.parse(world.tags()["hangdump:ready"])) > world.host.booted_at


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(None, "It is not ready to dump again (crash-kernel-not-loaded)", id="not-ready"),
        pytest.param({"ready": "perhaps"}, "Could not check whether it can dump again", id="nonsense"),
    ],
)
def test_a_dump_is_captured_whatever_its_instance_answers_afterwards(
    world: World, answer: dict[str, Any] | None, said: str
) -> None:
    before = world.tags()["hangdump:ready"]
    if answer is None:
        world.host.is_ready = False
    else:
        world.host.prints["check_kdump"] = answer

    ended = world.hang()

    assert ended["output"]["verdict"] == "captured"
    assert said in ended["output"]["reason"]
    assert world.tags()["hangdump:ready"] == before


def test_an_instance_whose_dump_shows_no_hang_is_not_interrupted_again_until_its_owner_says_so(world: World) -> None:
    memory = memory_with_log()
    memory.pids = (0, 0)
    world.host.content = elf(memory)

    ended = world.hang()

    incident = ended["output"]["incidentId"]
    assert (
        "No alarm will interrupt the instance until its owner removes the tag hangdump:disarmed"
        in ended["output"]["reason"]
    )
    assert world.tags()["hangdump:disarmed"] == incident


def test_an_instance_that_hung_stays_armed(world: World) -> None:
    memory = memory_with_log()
    memory.pids = (0, 4711)
    world.host.content = kdump_compressed(memory)

    world.hang()

    assert json.loads(objects(world)["incident.json"])["opened"]["idleCpus"] == 1
    assert "hangdump:disarmed" not in world.tags()


def test_a_dump_that_calls_itself_by_300_kb_has_its_verdict(world: World) -> None:
    """A state of an execution may have 256 KiB; beyond, nothing catches the error and nobody is told."""
    memory = memory_with_log()
    memory.info |= {"OSRELEASE": "A" * 300_000, "BUILD-ID": "\x01" * 50_000}
    world.host.content = elf(memory)

    ended = world.hang()

    assert ended["output"]["verdict"] == "captured"
    incident = json.loads(objects(world)["incident.json"])
    assert len(incident["opened"]["kernelRelease"]) == 128
    assert len(json.dumps(incident)) < 20_000


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"vmcore": "x"}, id="another-form"),
        pytest.param({}, id="nothing"),
        pytest.param({"status": "removed"}, id="of-another-action"),
        pytest.param({"status": "complete", "vmcore": {"path": "/x", "sizeBytes": -1}}, id="impossible-size"),
        pytest.param({"status": "complete", "bootId": "\x01" * 3_000, "kernel": "\u202e" * 3_000}, id="long"),
    ],
)
def test_a_host_that_lies_about_its_dump_has_its_verdict(world: World, answer: dict[str, Any]) -> None:
    world.host.prints["upload_vmcore find"] = answer

    ended = world.hang()

    assert (ended["status"], ended["error"]) == ("FAILED", "failed")
    assert len(ended["cause"]) < 3_000
    assert ended["cause"].isprintable()


def test_interrupts_first_when_asked_to(world: World) -> None:
    ended = fetch(world, interrupt=True)

    assert ended["output"]["verdict"] == "captured"
    assert len(world.host.nmis) == 1
    assert "before/screenshot.jpg" in objects(world)


def test_fetches_the_dump_of_a_panic_by_itself_when_asked_to_interrupt(world: World) -> None:
    world.host.panic()
    scheduler.sleep(10)

    ended = fetch(world, interrupt=True)

    assert ended["output"]["verdict"] == "captured"
    assert objects(world)["vmcore"] == world.host.content
    assert world.host.nmis == []
    assert any("panicked on its own" in each.subject for each in world.told())


@pytest.mark.parametrize("instance", [{}, {"instance_type": "t4g.micro", "architecture": "arm64"}], ids=["x86", "arm"])
def test_fetches_a_dump_that_is_already_there(world: World, instance: dict[str, Any]) -> None:
    world.host, world.instance_id = world.add_host(is_reserved=True, **instance)
    world.run("ProvisionDumpVolume", instanceId=world.instance_id)
    world.host.panic()
    scheduler.sleep(600)

    ended = fetch(world)

    assert ended["output"]["verdict"] == "captured"
    assert objects(world)["vmcore"] == world.host.content
    assert (world.host.disk, world.host.nmis) == ([], [])


def test_ends_in_panic_no_dump_when_the_crash_kernel_writes_nothing(world: World) -> None:
    world.host.writes_dump = False

    ended = world.hang()

    assert (ended["status"], ended["error"]) == ("FAILED", "panic-no-dump")
    # Its volume is there: there is nothing to rescue.
    assert world.collectors == []


def test_ends_in_no_panic_when_the_kernel_shrugs_the_interrupt_off(world: World) -> None:
    world.host.panics_on_nmi = False

    ended = world.hang()

    assert (ended["status"], ended["error"]) == ("FAILED", "no-panic")


def test_keeps_an_incomplete_vmcore_and_saves_its_log(world: World) -> None:
    world.host.completes_dump = False

    ended = world.hang()

    assert (ended["status"], ended["error"]) == ("FAILED", "incomplete")
    assert "vmcore" not in objects(world)
    assert b"NMI: Not continuing" in objects(world)["vmcore-dmesg.txt"]
    assert len(world.host.disk) == 1


def test_keeps_a_vmcore_on_the_instance_that_does_not_open(world: World) -> None:
    world.host.content = b"KDUMP   " + bytes(range(256)) * 4000

    ended = world.hang()

    assert (ended["status"], ended["error"]) == ("FAILED", "incomplete")
    assert "does not open as a dump. The dump's header is damaged" in ended["cause"]
    assert len(world.host.disk) == 1
    assert objects(world)["vmcore"] == world.host.content


def test_takes_the_kernels_log_out_of_the_vmcore_when_the_text_beside_it_is_cut(world: World) -> None:
    world.host.dmesg = LOG_TEXT[:80].encode()

    ended = world.hang()

    assert ended["output"]["panicLine"] == "Kernel panic - not syncing: NMI: Not continuing"
    assert objects(world)["vmcore-log.txt"].decode() == LOG_TEXT
    incident = json.loads(objects(world)["incident.json"])
    assert incident["opened"]["buildId"] == BUILD_ID
    assert incident["keys"]["log"].endswith("/vmcore-log.txt")


def test_says_that_there_is_no_vmcore_to_fetch(world: World) -> None:
    ended = fetch(world)

    assert (ended["status"], ended["error"]) == ("FAILED", "failed")
    assert "VmcoreNotFound" in ended["cause"]


def test_keeps_the_vmcore_when_the_bucket_refuses(world: World) -> None:
    world.host.fails_with["upload_vmcore upload"] = {"error": "UploadRefused", "message": "part 1: 403."}

    ended = world.hang()

    assert ended["status"] == "FAILED"
    assert len(world.host.disk) == 1


def test_an_execution_that_is_aborted_in_mid_upload_is_taken_up_by_its_incident(world: World) -> None:
    """With what arrived: the object is whole, and nothing is interrupted again."""

    def abort() -> None:
        # The first call only hashes.
        if world.host.documents_run.count("upload_vmcore upload") < 2:
            return
        (execution,) = world.executions()
        world.account.client("stepfunctions").stop_execution(executionArn=execution.exec_arn)

    world.host.before["upload_vmcore upload"] = abort
    assert world.hang()["status"] == "ABORTED"
    assert len(world.host.disk) == 1
    world.host.before.clear()
    (incident_id,) = world.records()

    ended = fetch(world, incidentId=incident_id)

    assert ended["output"]["verdict"] == "captured"
    assert objects(world)["vmcore"] == world.host.content
    assert (world.host.disk, len(world.host.nmis)) == ([], 1)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"instanceId": "i-xyz"}, id="no instance id"),
        pytest.param({"instanceId": "i-0123456789abcdef0"}, id="an instance that does not exist"),
        pytest.param({"instanceId": "i-0123456789abcdef0", "interupt": True}, id="a misspelt field"),
    ],
)
def test_ends_bad_input_with_a_verdict_that_names_it(world: World, given: dict[str, object]) -> None:
    ended = world.run("CollectVmcore", **given)

    assert ended["status"] == "FAILED"
    assert ended["error"] in {"failed", "refused"}
    named = [*given, "instanceId"]
    assert any(name in ended["cause"] or str(given.get(name)) in ended["cause"] for name in named)


# ---- an instance that goes off, loops, or loses its volume


def test_starts_an_instance_again_that_powered_itself_off_after_its_dump(world: World) -> None:
    world.host.final_action = "poweroff"

    ended = world.hang()

    assert ended["output"]["verdict"] == "captured"
    assert objects(world)["vmcore"] == world.host.content
    assert (world.host.starts, len(world.host.nmis)) == (1, 1)


def test_leaves_an_instance_alone_that_its_user_stopped(world: World) -> None:
    ec2 = world.account.client("ec2")
    world.host.on_nmi = lambda: ec2.stop_instances(InstanceIds=[world.instance_id])

    ended = world.hang()

    assert (ended["status"], ended["error"]) == ("FAILED", "failed")
    assert "(Client.UserInitiatedShutdown), but its own operating system did not do that" in ended["cause"]
    assert world.host.starts == 0


def test_starts_an_instance_once_that_powers_itself_off_again_and_again(world: World) -> None:
    world.host.final_action = "poweroff"
    world.host.is_broken = True

    ended = world.hang()

    assert ended["output"]["verdict"] == "rescued"
    assert "powered itself off again" in ended["output"]["reason"]
    assert world.host.starts == 1


def test_a_crash_kernel_that_loops_ends_the_wait(world: World) -> None:
    def loop() -> None:
        """It panics itself, before it has written anything, whenever it boots."""
        world.host.is_hung = True
        for boot in range(20):
            panic = "Kernel panic - not syncing: System is deadlocked on memory"
            world.host.log += f"{CRASH_KERNEL}[    {boot}.000000] {panic}\n"
            scheduler.sleep(120)

    world.host.on_nmi = loop

    world.hang()

    (record,) = world.records().values()
    looped = [each["detail"] for each in record["timeline"] if "crash kernel booted" in each.get("detail", "")]
    assert looped[0].startswith("A crash kernel booted 3 times since the interrupt")
    assert len(world.host.nmis) == 1


def detach_dump_volume(world: World) -> str:
    (volume_id,) = world.host.plugged
    world.account.client("ec2").detach_volume(VolumeId=volume_id)
    scheduler.sleep(30)
    return volume_id


def test_rescues_from_the_volume_without_which_the_instance_came_back(world: World) -> None:
    volume_id = detach_dump_volume(world)

    ended = world.hang()

    assert ended["output"]["verdict"] == "rescued"
    assert f"came back, but without its dump volume {volume_id}" in ended["output"]["reason"]
    assert objects(world)["vmcore"] == world.host.content
    assert world.left_of_rescues(world.instance_id) == []
    assert len(world.host.nmis) == 1


def test_a_dump_that_nobody_watched_is_not_looked_for_on_a_detached_volume(world: World) -> None:
    detach_dump_volume(world)

    ended = fetch(world)

    assert (ended["error"], world.collectors) == ("failed", [])
