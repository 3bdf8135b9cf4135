"""What happens to the instance in a run; together they come through every state that is reached without a fault."""

import os
from collections.abc import Callable
from unittest import mock

from lab.simulator import auto_scaling_group
from lab.simulator.modelled_documents import ModelledHost
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from lambdas.fleet.table import read_rung
from lambdas.handlers import plan_fleet


def make_ready(world: World) -> None:
    """An enrolled instance is provisioned, with a reboot."""
    world.host, world.instance_id = world.add_host()
    world.start("ProvisionDumpVolume", instanceId=world.instance_id, reboot=True)
    world.settle()


def make_ready_as_measured(world: World) -> None:
    """The same with a dump volume of the size that a dump would need."""
    world.host, world.instance_id = world.add_host()
    world.start("ProvisionDumpVolume", instanceId=world.instance_id, reboot=True, dumpVolumeSizing="measured")
    world.settle()


def park(world: World) -> None:
    """The dump volume of a ready instance is parked as a snapshot."""
    world.start("ProvisionDumpVolume", instanceId=world.instance_id, dumpVolume="parked")
    world.settle()


def hang_parked(world: World) -> None:
    """Its volume is parked: one is made of the snapshot while the crash kernel waits, and is put away again."""
    park(world)
    hang(world)


def panic_parked(world: World) -> None:
    """The same after a panic by itself, which waits for its alarm."""
    park(world)
    world.host.panic()
    scheduler.sleep(200)
    world.alarm()
    world.settle(seconds=5)


def attach_again(world: World) -> None:
    """A parked volume is to be attached again."""
    park(world)
    world.start("ProvisionDumpVolume", instanceId=world.instance_id, dumpVolume="attached")
    world.settle()


def retire_parked(world: World) -> None:
    """An instance whose volume is parked is taken out."""
    park(world)
    retire(world)


def lose_parked(world: World) -> None:
    """Its host has lost what it needs to wait: it is made ready with another volume, which is parked instead."""

    def lose_it_once() -> None:
        world.host.is_ready = world.host.documents_run.count("check_kdump") > checks + 1

    park(world)
    checks = world.host.documents_run.count("check_kdump")
    world.host.before["check_kdump"] = lose_it_once
    park(world)


def fail_to_prepare(world: World) -> None:
    """Its volume cannot be prepared: what was made is removed again."""
    world.host, world.instance_id = world.add_host()
    world.host.fails_with["prepare_dump_volume"] = {"error": "DeviceHoldsData", "message": "It carries a signature."}
    world.start("ProvisionDumpVolume", instanceId=world.instance_id)
    world.settle()


def take_over(world: World) -> None:
    """A provisioning that was stopped left its lease."""
    world.host, world.instance_id = world.add_host(is_reserved=True)
    first = world.start("ProvisionDumpVolume", instanceId=world.instance_id)
    scheduler.run(until=lambda: False, seconds=1)
    world.account.client("stepfunctions").stop_execution(executionArn=first.exec_arn)
    world.settle()
    world.start("ProvisionDumpVolume", instanceId=world.instance_id)
    world.settle()


def enrol(world: World) -> None:
    """An owner tags an instance, and nothing else."""
    world.let_enrol()
    world.host, world.instance_id = world.add_host(is_reserved=True, tags={})
    tags = [{"Key": "hangdump:enrolled", "Value": "true"}]
    world.account.client("ec2").create_tags(Resources=[world.instance_id], Tags=tags)
    world.settle()


def fail_check(world: World) -> None:
    """State Manager's check finds that it is no longer ready. Provisioning it again repairs it, but not at once."""
    world.let_enrol()
    world.host.is_ready = False
    world.check_fleet()
    world.settle()
    world.host.is_ready = True
    scheduler.sleep(3600)
    world.ring()
    world.settle()


def leave_fleet(world: World) -> None:
    """An owner takes the tag away."""
    world.let_enrol()
    tags = [{"Key": "hangdump:enrolled"}]
    world.account.client("ec2").delete_tags(Resources=[world.instance_id], Tags=tags)
    world.settle()


def ring_while_enrolling(world: World) -> None:
    """The bell is rung while an enrolment is under way, and again when that one was stopped."""
    world.let_enrol()
    world.host, world.instance_id = world.add_host(is_reserved=True)
    first = world.start("EnrolFleet")
    scheduler.run(until=lambda: False, seconds=30)
    world.ring()
    scheduler.run(until=lambda: False, seconds=90)
    world.account.client("stepfunctions").stop_execution(executionArn=first.exec_arn)
    world.ring()
    world.settle()


def ring_without_end(world: World) -> None:
    """The bell is rung during every plan of an execution, as large fleets have them: it hands the bell over."""

    def read_and_plan_long(table_name: str) -> int:
        rung = read_rung(table_name)
        scheduler.sleep(60)
        return rung

    def go_on() -> None:
        for _ in range(80):
            scheduler.sleep(50)
            world.ring()

    mock.patch.object(plan_fleet, "read_rung", read_and_plan_long).start()
    world.let_enrol()
    world.ring()
    scheduler.spawn(go_on)
    world.settle(seconds=80 * 50)


def hang(world: World) -> None:
    """It hangs, its alarm is delivered."""
    world.hang()


def hang_unheard(world: World) -> None:
    """No alarm is delivered: the watcher sees that it is impaired, and asks."""
    world.host.hang()
    scheduler.sleep(150)
    world.run_by_schedule("watch_fleet")
    world.settle(seconds=5)
    # When the next one looks, its incident is over.
    scheduler.sleep(60)
    world.run_by_schedule("watch_fleet")
    world.settle(seconds=5)


def hang_in_group(world: World) -> None:
    """The same in an Auto Scaling group, which must not replace it meanwhile."""
    auto_scaling_group.join(world)
    hang(world)


def hang_and_power_off(world: World) -> None:
    """The same on an instance whose crash kernel powers it off."""
    world.host.final_action = "poweroff"
    hang(world)


def hang_and_stay_off(world: World) -> None:
    """EC2 has no capacity to start it again: its vmcore is rescued."""
    world.account.computer(world.instance_id).refuses_to_start = "InsufficientInstanceCapacity"
    hang_and_power_off(world)


def hang_and_lose_volume(world: World) -> None:
    """Somebody detaches its dump volume by force when it has dumped: its vmcore is rescued from there."""

    def detach() -> None:
        scheduler.sleep(250)
        (volume,) = world.host.plugged
        world.account.client("ec2").detach_volume(VolumeId=volume, Force=True)

    scheduler.spawn(detach)
    hang(world)


def interrupt_by_hand(world: World) -> None:
    """CollectVmcore is told to interrupt."""
    world.host.hang()
    scheduler.sleep(150)
    world.start("CollectVmcore", instanceId=world.instance_id, interrupt=True)
    world.settle()


def fetch(world: World) -> None:
    """It panicked by itself; its vmcore is fetched."""
    world.host.panic()
    scheduler.sleep(600)
    world.start("CollectVmcore", instanceId=world.instance_id)
    world.settle()


def fetch_incomplete(world: World) -> None:
    """The same, but the dump was cut short: only its log can be fetched."""
    world.host.completes_dump = False
    fetch(world)


def rescue(world: World) -> None:
    """It panicked by itself and was stopped; somebody starts a rescue."""
    world.host.panic()
    scheduler.sleep(600)
    world.account.client("ec2").stop_instances(InstanceIds=[world.instance_id])
    scheduler.sleep(600)
    world.start("RescueVmcore", instanceId=world.instance_id)
    world.settle()


def replace_member(world: World) -> None:
    """A group has terminated its member, whose dump volume is empty: a sweep has it read and deleted."""
    world.host, world.instance_id = world.add_host(is_reserved=True)
    auto_scaling_group.join(world)
    world.start("ProvisionDumpVolume", instanceId=world.instance_id)
    world.settle()
    _terminate_and_sweep(world)


def replace_member_with_dump(world: World) -> None:
    """The same with a dump on the volume, which nobody has fetched: it is rescued first."""
    world.host, world.instance_id = world.add_host(is_reserved=True)
    auto_scaling_group.join(world)
    world.start("ProvisionDumpVolume", instanceId=world.instance_id)
    world.settle()
    world.host.panic()
    scheduler.sleep(600)
    _terminate_and_sweep(world)


def _terminate_and_sweep(world: World) -> None:
    world.account.client("ec2").terminate_instances(InstanceIds=[world.instance_id])
    scheduler.sleep(2 * 3600)
    world.forget_instance(world.instance_id)
    world.run_by_schedule("sweep")
    world.settle(seconds=5)


def analyze(world: World) -> None:
    """A fetched vmcore is read with symbols on a host that was given for it."""
    fetch(world)
    # None when what went wrong left none.
    incident = next(iter(world.records()), "none")
    _, host_id = world.add_host(tags={"hangdump:analysis-host": "true"})
    scheduler.sleep(60)
    world.start("AnalyzeVmcore", incidentId=incident, analysisInstanceId=host_id)
    world.settle()


def analyze_on_twin(world: World) -> None:
    """The same without a host: an instance is launched for it."""
    fetch(world)
    world.concluded = world.records()
    incident = next(iter(world.concluded), "none")
    world.start("AnalyzeVmcore", incidentId=incident)
    world.settle()


def sweep(world: World) -> None:
    """The sweep's hour: a vmcore that nobody fetched lies on the instance, a volume and an upload were left."""
    world.host.panic()
    scheduler.sleep(600)
    world.leave_things()
    scheduler.sleep(2 * 86400)
    world.run_by_schedule("sweep")
    world.settle(seconds=5)


def retire(world: World) -> None:
    """It is taken out: what was done to it is undone, and its empty volume is deleted."""
    world.start("RetireInstance", instanceId=world.instance_id)
    world.settle()


def take_over_retirement(world: World) -> None:
    """The same after a retirement that was stopped and left its lease."""
    first = world.start("RetireInstance", instanceId=world.instance_id)
    scheduler.run(until=lambda: False, seconds=1)
    world.account.client("stepfunctions").stop_execution(executionArn=first.exec_arn)
    world.settle()
    retire(world)


def retire_with_dump(world: World) -> None:
    """The same, but a dump that nobody has fetched lies on its volume: it stays."""
    world.host.panic()
    scheduler.sleep(600)
    retire(world)


def drill(world: World) -> None:
    """A twin of the instance is launched, hung and collected, and removed again."""
    world.start("DrillDump", instanceId=world.instance_id)
    world.settle()


def drill_by_panic(world: World) -> None:
    """The same with a twin that panics by itself, and is back before its alarm."""
    world.start("DrillDump", instanceId=world.instance_id, hang="panic")
    world.settle()


def drill_again(world: World) -> None:
    """A drill was stopped before it launched its twin, and is started again."""
    world.prepare_collector = _never_answer
    first = world.start("DrillDump", instanceId=world.instance_id)
    scheduler.run(until=lambda: False, seconds=30)
    world.account.client("stepfunctions").stop_execution(executionArn=first.exec_arn)
    world.settle()
    world.start("DrillDump", instanceId=world.instance_id)
    world.settle()


def drill_by_sweep(world: World) -> None:
    """A sweep finds that no drill has proven the image and kernel of the fleet, and begins one."""
    os.environ["DRILL_EVERY_DAYS"] = "30"
    world.let_enrol()
    world.ring()
    world.settle()
    world.run_by_schedule("sweep")
    world.settle(seconds=5)


def _never_answer(host: ModelledHost) -> None:
    host.boot_seconds = 1e9


def false_alarm(world: World) -> None:
    """Its alarm is delivered, but it is well."""
    world.alarm()
    world.settle(seconds=5)


SCENARIOS: dict[str, Callable[[World], None]] = {
    each.__name__: each
    for each in (
        hang,
        hang_unheard,
        interrupt_by_hand,
        fetch,
        fetch_incomplete,
        hang_in_group,
        hang_and_power_off,
        hang_and_stay_off,
        hang_and_lose_volume,
        rescue,
        replace_member,
        replace_member_with_dump,
        analyze,
        analyze_on_twin,
        false_alarm,
        sweep,
        make_ready,
        make_ready_as_measured,
        park,
        hang_parked,
        panic_parked,
        attach_again,
        retire_parked,
        lose_parked,
        fail_to_prepare,
        take_over,
        enrol,
        fail_check,
        leave_fleet,
        ring_while_enrolling,
        ring_without_end,
        retire,
        take_over_retirement,
        retire_with_dump,
        drill,
        drill_by_panic,
        drill_again,
        drill_by_sweep,
    )
}
# Those in which an alarm may come again.
HANGS = ("hang", "hang_in_group", "hang_and_power_off", "hang_and_stay_off")
