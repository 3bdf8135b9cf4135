"""The account with the synthesized stack, in which every run begins: deployed once, and copied by fork for each run.

Owns what a run can do (start, deliver an alarm, sweep) and what can be seen of it afterwards. A copy by fork costs some
hundredths of a second and leaves nothing behind for the next run.
"""

import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.synth import TEMPLATE
from lab.aws import executions
from lab.aws.cloudwatch import ALARMS_PRINCIPAL, alarm_data, snapshot
from lab.simulator.injection import Injection
from lab.simulator.modelled_host import Dump, ModelledHost, Snapshots
from lab.simulator.one_thread_account import OneThreadAccount, import_handlers
from lab.simulator.scheduler import scheduler
from lab.simulator.virtual_time import virtual_time
from lambdas.runtime.tags import OWNER_TAG, STACK_TAG

# Few looks in the loops, whose bounds are as in the template: what is between them costs processor time here.
SETTINGS: dict[str, Any] = {"pollSeconds": 60, "dumpTimeoutSeconds": 900, "probeTimeoutSeconds": 20}
ENROLLED = {"hangdump:enrolled": "true"}
LONGEST_RUN = 14 * 86400.0


class World:
    """One account; `host` is the machine that this run is about, `instance_id` its instance."""

    def __init__(self, account: OneThreadAccount, outputs: dict[str, str], injection: Injection) -> None:
        self.account = account
        self.outputs = outputs
        self.injection = injection
        self.removed_unproven: list[str] = []
        self.snapshots: Snapshots = {}
        account.launch_with(lambda _: ModelledHost(account.state, self.snapshots, self._removed, is_on=False))
        self.host, self.instance_id = self.add_host(is_reserved=True)
        self.settle(self.start("ProvisionDumpVolume", instanceId=self.instance_id))
        scheduler.sleep(600)
        self._warm_up()

    def _warm_up(self) -> None:
        """A collection whose traces are wiped away: what it loads and caches, no copy has to load again."""
        self.host.hang()
        self.settle(self.start("CollectVmcore", instanceId=self.instance_id, interrupt=True))
        assert self.host.written, "the warm-up captured nothing"
        self.sweep()
        scheduler.sleep(600)
        self.host.forget()
        self.account.metrics.clear()
        self.account.notifications.clear()
        for machine in executions._backend(self.account.state).state_machines:
            machine.executions.clear()
        dynamodb, table = self.account.client("dynamodb"), os.environ["TABLE_NAME"]
        for item in dynamodb.scan(TableName=table)["Items"]:
            dynamodb.delete_item(TableName=table, Key={"pk": item["pk"]})
        s3 = self.account.client("s3")
        for version in s3.list_object_versions(Bucket=self.bucket).get("Versions", []):
            s3.delete_object(Bucket=self.bucket, Key=version["Key"], VersionId=version["VersionId"])

    def add_host(self, *, tags: dict[str, str] | None = None, **properties: Any) -> tuple[ModelledHost, str]:
        host = ModelledHost(self.account.state, self.snapshots, self._removed, **properties)
        return host, self.account.add_instance(host, tags=ENROLLED if tags is None else tags)

    # ---- what a run does

    def start(self, machine: str, **execution_input: Any) -> Any:
        arn = self.account.start_execution(machine, execution_input)
        return next(each for each in self.executions() if each.exec_arn == arn)

    def alarm(self, *, later: float = 0.0) -> None:
        """The hang alarm's event, as CloudWatch delivers it: asynchronously, at least once."""

        def deliver() -> None:
            scheduler.sleep(later)
            self.account.state.events.emit("cloudwatch", "alarm", "delivered")
            self.account._functions.call_as(function, event, ALARMS_PRINCIPAL, alarm.alarm_arn)

        alarm = self.account.state.backend("cloudwatch").alarms[f"hangdump-{self.instance_id}"]
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

    def leave_things(self) -> None:
        """A dump volume that is attached to nothing, and an upload that nobody goes on with."""
        ours = [{"Key": OWNER_TAG, "Value": self.instance_id}, {"Key": STACK_TAG, "Value": "Hangdump"}]
        self.account.client("ec2").create_volume(
            AvailabilityZone=f"{self.account.region}a",
            Size=8,
            TagSpecifications=[{"ResourceType": "volume", "Tags": ours}],
        )
        place = f"{self.account.account_id}/{self.account.region}/{self.instance_id}"
        key = f"vmcores/{place}/20261101T000000Z-{self.instance_id}/vmcore"
        self.account.client("s3").create_multipart_upload(Bucket=self.bucket, Key=key)

    def run_sweep_by_schedule(self) -> None:
        """As EventBridge invokes it: asynchronously."""
        self.account.state.events.emit("events", "sweep", "scheduled")
        self.account._functions.call_later("Hangdump-sweep", {"source": "aws.events"})

    def settle(self, *_: Any, seconds: float = 0.0) -> None:
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

    def sweep(self) -> list[dict[str, Any]]:
        """Runs it a day later, without faults; its findings."""
        self.injection.begin([])
        scheduler.sleep(8 * 86400)
        result = self.account.invoke("Hangdump-sweep", {})
        body = self.account.client("s3").get_object(Bucket=self.bucket, Key=result["report"])["Body"].read()
        findings: list[dict[str, Any]] = json.loads(body)["findings"]
        return findings

    # ---- what can be seen

    @property
    def bucket(self) -> str:
        return self.outputs["VmcoreBucketName"]

    def executions(self) -> list[Any]:
        return executions.executions(self.account.state)

    def records(self) -> dict[str, dict[str, Any]]:
        from lambdas.incident.update_expression import deserialize  # noqa: PLC0415 - after the handlers

        items = self.account.client("dynamodb").scan(TableName=os.environ["TABLE_NAME"])["Items"]
        plain = [deserialize(item) for item in items]
        return {each["pk"].removeprefix("incident#"): each for each in plain if each["pk"].startswith("incident#")}

    def objects(self) -> dict[str, bytes]:
        s3 = self.account.client("s3")
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]
        return {
            key: s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys if key.endswith("/vmcore")
        }

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
        if dump.content not in self.objects().values():
            self.removed_unproven.append(dump.path)


def _now() -> Any:
    from lab.aws.state import utc_now  # noqa: PLC0415 - in virtual time

    return utc_now()


@contextmanager
def deployed(assembly: Path) -> Iterator[World]:
    """The stack of an assembly, deployed; one at a time in a process."""
    import_handlers()
    with virtual_time(), OneThreadAccount() as account:
        outputs = account.deploy(json.loads((assembly / TEMPLATE).read_text(encoding="utf-8")), assembly)
        injection = Injection()
        injection.install(account._patches)
        world = World(account, outputs, injection)
        gc.collect()
        gc.freeze()
        yield world
        gc.unfreeze()
