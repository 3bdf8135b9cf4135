"""The account with the synthesized stack, in which every run begins: deployed once, and copied by fork for each run.

Owns what a run can do (start, deliver an alarm, sweep) and what can be seen of it afterwards. A copy by fork costs some
hundredths of a second and leaves nothing behind for the next run.
"""

import gc
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from infra.synth import TEMPLATE
from lab.aws import executions, schedules
from lab.aws.cloudwatch import ALARMS_PRINCIPAL, alarm_data, snapshot
from lab.aws.iam.account_facts import DEFAULT, Variant
from lab.aws.launches import Launch
from lab.aws.sns import Notification
from lab.deployment import Deployment
from lab.simulator.injection import Injection
from lab.simulator.modelled_documents import ModelledHost
from lab.simulator.modelled_host import Dump, Snapshots
from lab.simulator.one_thread_account import UPLOAD_ENDPOINT, OneThreadAccount, import_handlers
from lab.simulator.scheduler import scheduler
from lab.simulator.virtual_time import virtual_time
from lambdas.fleet.row import FleetRow
from lambdas.fleet.table import scan_rows
from lambdas.incident.object_keys import VMCORES
from lambdas.provision.parked import read_parked
from lambdas.runtime.stack_parameter import Output
from lambdas.runtime.tags import DUMP_VOLUME_RECORD_PREFIX, ENROLLED_TAG, OWNER_TAG, STACK, STACK_TAG, hang_alarm_name

# Few polls: the loops' bounds are the template's, and each poll costs processor time here.
SETTINGS: dict[str, Any] = {
    "pollSeconds": 60,
    "dumpTimeoutSeconds": 900,
    "probeTimeoutSeconds": 20,
    "uploadEndpointUrl": UPLOAD_ENDPOINT,
    # Who is provisioned, most scenarios say: `let_enrol` is for the others.
    "fleetLimit": 0,
    "profiles": {"database": {"dumpLevel": 17}},
}
ENROLLED = {ENROLLED_TAG: "true"}
LONGEST_RUN = 14 * 86400.0


class World(Deployment):
    """One account; `host` is the machine that this run is about, `instance_id` its instance: ready and well."""

    account: OneThreadAccount

    def __init__(self, account: OneThreadAccount, outputs: dict[str, str], injection: Injection) -> None:
        super().__init__(account, outputs)
        self.injection = injection
        self.permissions = account.permissions
        self.removed_unproven: list[str] = []
        # The records that were over before something that must not change them.
        self.concluded: dict[str, dict[str, Any]] = {}
        self.snapshots: Snapshots = {}
        self.collectors: list[ModelledHost] = []
        # Called with each collector before it is switched on.
        self.prepare_collector: Callable[[ModelledHost], None] = lambda _: None
        account.launch_with(self._launch)
        self.host, self.instance_id = self.add_host(is_reserved=True)
        self.run("ProvisionDumpVolume", instanceId=self.instance_id)
        scheduler.sleep(600)
        self._warm_up()

    def _launch(self, launch: Launch) -> ModelledHost:
        collector = ModelledHost(self.account.state, self.snapshots, self._removed, is_on=False)

        def be_heard() -> None:
            """The alarm of a twin that a drill hangs, two periods later."""
            scheduler.sleep(150)
            self.alarm(of=launch.instance_id)

        collector.on_hang = lambda: scheduler.spawn(be_heard)
        self.prepare_collector(collector)
        self.collectors.append(collector)
        return collector

    def _warm_up(self) -> None:
        """A collection whose traces are wiped away: what it loads and caches, no copy has to load again."""
        self.host.hang()
        self.run("CollectVmcore", instanceId=self.instance_id, interrupt=True)
        assert self.host.written, "the warm-up captured nothing"
        self.sweep(days_later=8)
        scheduler.sleep(600)
        self.host.forget()
        self.account.metrics.clear()
        self.account.notifications.clear()
        for machine in executions._backend(self.account.state).state_machines:
            machine.executions.clear()
        dynamodb, table = self.account.client("dynamodb"), os.environ["TABLE_NAME"]
        for item in dynamodb.scan(TableName=table)["Items"]:
            # The dump volume stays, and so does what says whose it is.
            if not item["pk"]["S"].startswith(DUMP_VOLUME_RECORD_PREFIX):
                dynamodb.delete_item(TableName=table, Key={"pk": item["pk"]})
        s3 = self.account.client("s3")
        for version in s3.list_object_versions(Bucket=self.bucket).get("Versions", []):
            s3.delete_object(Bucket=self.bucket, Key=version["Key"], VersionId=version["VersionId"])

    def add_host(
        self, *, tags: dict[str, str] | None = None, is_reserved: bool = False, **instance: Any
    ) -> tuple[ModelledHost, str]:
        """One more instance that is not provisioned; `instance` as LabAccount.add_instance takes it."""
        host = ModelledHost(self.account.state, self.snapshots, self._removed, is_reserved=is_reserved)
        return host, self.account.add_instance(host, tags=ENROLLED if tags is None else tags, **instance)

    # ---- what a run does

    def start(self, machine: str, **execution_input: Any) -> Any:
        arn = self.account.start_execution(machine, execution_input)
        return next(each for each in self.executions() if each.exec_arn == arn)

    def run(self, machine: str, **execution_input: Any) -> dict[str, Any]:
        """An execution to its end: status, output, error, cause."""
        execution = self.start(machine, **execution_input)
        self.settle()
        return _end_of(execution)

    def hang(self) -> dict[str, Any]:
        """It hangs, its alarm is delivered; how the collection ended, nothing when there was none."""
        self.host.hang()
        scheduler.sleep(150)
        self.alarm()
        self.settle(seconds=5)
        return self.last("CollectVmcore")

    def alarm(self, *, later: float = 0.0, of: str = "") -> None:
        """The hang alarm's event, as CloudWatch delivers it: asynchronously, at least once. Nothing if it is gone."""

        def deliver() -> None:
            scheduler.sleep(later)
            self.account.state.events.emit("cloudwatch", "alarm", "delivered")
            self.account._functions.call_as(function, event, ALARMS_PRINCIPAL, alarm.alarm_arn)

        alarm = self.account.state.backend("cloudwatch").alarms.get(hang_alarm_name(of or self.instance_id))
        if alarm is None:
            return
        if alarm.state_value != "ALARM":
            alarm.state_value, alarm.state_updated_timestamp = "ALARM", _now()
        (function,) = alarm.alarm_actions
        event = {
            "source": "aws.cloudwatch",
            "alarmArn": alarm.alarm_arn,
            "accountId": self.account.account_id,
            "time": snapshot(alarm)["timestamp"],
            "region": self.account.region,
            "alarmData": alarm_data(alarm, snapshot(alarm)),
        }
        scheduler.spawn(deliver)

    def let_enrol(self, limit: int = 100) -> None:
        """From now on EnrolFleet takes in instances by itself, as it does with the default settings."""
        os.environ["FLEET_LIMIT"] = str(limit)
        for rule in self._bell_rules():
            rule.state = "ENABLED"

    def ring(self) -> None:
        """The hour has passed."""
        for rule in self._bell_rules():
            if rule.scheduled_expression:
                rule.send_to_targets(schedules.scheduled_event(self.account.state, rule))

    def check_fleet(self) -> None:
        """Six hours have passed: State Manager runs check_kdump on every tagged instance."""
        self.account.apply_associations()
        scheduler.sleep(60)

    def _bell_rules(self) -> list[Any]:
        return [
            each for each in self.rules() if any(t["Arn"].endswith(":stateMachine:EnrolFleet") for t in each.targets)
        ]

    def rules(self) -> list[Any]:
        """The rules of the default bus."""
        return list(self.account.state.backend("events").describe_event_bus("default").rules.values())

    def fleet(self) -> dict[str, FleetRow]:
        """The rows of the fleet table, by instance."""
        return scan_rows(os.environ["FLEET_TABLE_NAME"])

    def leave_things(self) -> None:
        """A dump volume that is attached to nothing, and an upload that nobody goes on with."""
        ours = [{"Key": OWNER_TAG, "Value": self.instance_id}, {"Key": STACK_TAG, "Value": STACK}]
        self.account.client("ec2").create_volume(
            AvailabilityZone=f"{self.account.region}a",
            Size=8,
            TagSpecifications=[{"ResourceType": "volume", "Tags": ours}],
        )
        place = f"{self.account.account_id}/{self.account.region}/{self.instance_id}"
        key = f"{VMCORES}{place}/20261101T000000Z-{self.instance_id}/vmcore"
        self.account.client("s3").create_multipart_upload(Bucket=self.bucket, Key=key)

    def make_older(self, resource_ids: list[str], *, hours: float) -> None:
        """Instances, snapshots and volumes, in the eyes of EC2; and the incidents with their rescues, begun before."""
        dynamodb, table = self.account.client("dynamodb"), os.environ["TABLE_NAME"]

        def age_moment(item: dict[str, Any], name: str) -> None:
            earlier = datetime.fromisoformat(item[name]["S"]) - timedelta(hours=hours)
            item[name] = {"S": earlier.strftime("%Y-%m-%dT%H:%M:%SZ")}

        for item in dynamodb.scan(TableName=table)["Items"]:
            if "openedAt" in item:
                age_moment(item, "openedAt")
                for entry in item["timeline"]["L"]:
                    age_moment(entry["M"], "at")
                dynamodb.put_item(TableName=table, Item=item)
        backend, age = self.account.state.backend("ec2"), timedelta(hours=hours)
        for each in resource_ids:
            if each.startswith("i-"):
                backend.get_instance(each).launch_time -= age
            elif each.startswith("snap-"):
                backend.get_snapshot(each).start_time -= age
            else:
                backend.get_volume(each).create_time -= age

    def forget_instance(self, instance_id: str) -> None:
        """EC2 shows a terminated instance for an hour, then knows it no longer. moto: for ever."""
        # Its status checks end, too.
        self.account.state.computers.pop(instance_id, None)
        backend = self.account.state.backend("ec2")
        for reservation in list(backend.reservations.values()):
            reservation.instances = [each for each in reservation.instances if each.id != instance_id]

    def run_by_schedule(self, function: str) -> None:
        """As EventBridge invokes it: asynchronously."""
        self.account.state.events.emit("events", function, "scheduled")
        self.account._functions.call_later(f"Hangdump-{function}", {"source": "aws.events"})

    def settle(self, *, seconds: float = 0.0) -> None:
        """Until nothing is at work any more: no execution runs, and no function will be tried again."""
        end = scheduler.now + seconds
        scheduler.run(until=lambda: scheduler.now >= end, seconds=seconds)
        if not scheduler.run(until=self._is_idle, seconds=LONGEST_RUN):
            raise AssertionError(f"something still runs after two weeks: {[e.name for e in self.executions()]}")

    def _is_idle(self) -> bool:
        running = any(each.status == "RUNNING" for each in self.executions())
        return not running and not any(
            thread.is_alive() and thread.name.startswith("invoke ") for thread in self.account.state._threads
        )

    def sweep(self, *, days_later: float = 0.0) -> list[dict[str, Any]]:
        """The findings of one without faults."""
        self.injection.begin([])
        state = self.account.state
        often = state.silent_check_seconds
        # A machine that is off would be looked at some hundred thousand times.
        state.silent_check_seconds = often if not days_later else 86400.0
        scheduler.sleep(days_later * 86400)
        state.silent_check_seconds = often
        result = self.account.invoke("Hangdump-sweep", {})
        findings: list[dict[str, Any]] = json.loads(self.content(result["report"]))["findings"]
        return findings

    # ---- what can be seen

    def executions(self) -> list[Any]:
        return executions.executions(self.account.state)

    def last(self, machine: str) -> dict[str, Any]:
        """How the last execution of a state machine ended, nothing when there was none."""
        found = [each for each in self.executions() if each.state_machine.name == machine]
        return _end_of(found[-1]) if found else {}

    def tags(self) -> dict[str, str]:
        """The tags of the instance."""
        tags = self.account.state.backend("ec2").get_instance(self.instance_id).get_tags()
        return {tag["key"]: tag["value"] for tag in tags}

    def parked_as(self) -> str:
        """The snapshot that the record of the instance's parked dump volume names; empty: it is not parked."""
        parked = read_parked(os.environ["TABLE_NAME"], self.instance_id)
        return parked.snapshot_id if parked else ""

    def snapshots_of(self, instance_id: str) -> list[dict[str, Any]]:
        """The snapshots that are tagged as its parked dump volume."""
        of_instance = [{"Name": f"tag:{OWNER_TAG}", "Values": [instance_id]}]
        listed: list[dict[str, Any]] = self.account.client("ec2").describe_snapshots(
            OwnerIds=["self"], Filters=of_instance
        )["Snapshots"]
        return listed

    def vmcores(self) -> dict[str, bytes]:
        """The vmcores in the bucket, by key."""
        listed = self.account.client("s3").list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {each["Key"]: self.content(each["Key"]) for each in listed if each["Key"].endswith("/vmcore")}

    def told(self) -> list[Notification]:
        """What people were told, without the chat messages: those come of themselves with every event."""
        chat = self.outputs[Output.CHAT_TOPIC.value]
        return [each for each in self.account.notifications if each.topic_arn != chat]

    def sweep_reports(self) -> int:
        """How many reports of sweeps the bucket holds."""
        listed = self.account.client("s3").list_objects_v2(Bucket=self.bucket, Prefix="sweeps/")
        return len(listed.get("Contents", []))

    def metrics(self) -> list[tuple[str, dict[str, str]]]:
        """What was counted by functions, and by the state machines themselves."""
        counted = [(each.name, each.dimensions) for each in self.account.metrics]
        for datum in self.account.state.backend("cloudwatch").metric_data:
            if datum.namespace == "Hangdump":
                counted.append((datum.name, {each.name: each.value for each in datum.dimensions}))
        return counted

    def _removed(self, dump: Dump) -> None:
        if dump.content not in self.vmcores().values():
            self.removed_unproven.append(dump.path)


def _end_of(execution: Any) -> dict[str, Any]:
    return {name: getattr(execution, name) for name in ("status", "output", "error", "cause")}


def _now() -> Any:
    from lab.aws.state import utc_now  # noqa: PLC0415 - in virtual time

    return utc_now()


@contextmanager
def deployed(
    assembly: Path, variant: Variant = DEFAULT, *, upgraded_from: dict[str, Any] | None = None
) -> Iterator[World]:
    """The stack of an assembly, deployed in a kind of account, over another template; one at a time in a process."""
    import_handlers()
    with virtual_time(), OneThreadAccount() as account:
        if upgraded_from is not None:
            account.deploy(upgraded_from, assembly)
        outputs = account.deploy(json.loads((assembly / TEMPLATE).read_text(encoding="utf-8")), assembly)
        account.permissions.move_to(variant)
        injection = Injection()
        injection.install(account._patches)
        world = World(account, outputs, injection)
        gc.collect()
        gc.freeze()
        yield world
        gc.unfreeze()
