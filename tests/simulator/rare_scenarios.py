"""What seldom happens, and is granted all the same: a right is needed in each of these that no other scenario uses."""

import os
from collections.abc import Callable
from datetime import timedelta

from lab.aws.iam.in_process import by_nobody
from lab.aws.s3 import sha256
from lab.simulator import auto_scaling_group
from lab.simulator.injection import ALWAYS, Fault, Site
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from tests.simulator.faults.scenarios import fetch, rescue
from tests.simulator.test_collect import fetch as collect

_COMPLETED = Fault(Site("verify_vmcore", "s3:CompleteMultipartUpload"), "dies")


def hang_without_conclusion(world: World) -> None:
    """conclude_incident fails: CollectVmcore itself writes the verdict and notifies."""
    _refuse(world, "CollectVmcore")
    world.hang()


def rescue_without_conclusion(world: World) -> None:
    """The same in a rescue."""
    _refuse(world, "RescueVmcore")
    rescue(world)


def _refuse(world: World, machine: str) -> None:
    site = Site(f"{machine} / Conclude incident", "lambda:Invoke")
    world.injection.begin([Fault(site, "refused", "ResourceNotFoundException", times=ALWAYS)])


def analyze_what_is_gone(world: World) -> None:
    """Somebody deleted the vmcore before it is analysed, and its log before the report is drawn again."""
    fetch(world)
    (incident,) = world.records()
    for name in ("vmcore", "vmcore-dmesg.txt", "analysis.json"):
        world.account.client("s3").delete_object(Bucket=world.bucket, Key=_key(world, name))
    _, host = world.add_host(tags={"hangdump:analysis-host": "true"})
    scheduler.sleep(60)
    world.run("AnalyzeVmcore", incidentId=incident, analysisInstanceId=host)
    world.account.invoke("Hangdump-render_report", {"incidentId": incident})


def open_without_text_beside_it(world: World) -> None:
    """The kernel's log was not uploaded: open_vmcore takes it out of the vmcore."""
    _at(world, Site("open_vmcore", "s3:GetObject"), lambda: _delete(world, "vmcore-dmesg.txt"))
    fetch(world)


def upload_another_vmcore(world: World) -> None:
    """The upload is aborted in the middle, and the vmcore is another one when it is taken up."""

    def abort() -> None:
        if world.host.documents_run.count("upload_vmcore upload") == 2:
            (execution,) = world.executions()
            world.account.client("stepfunctions").stop_execution(executionArn=execution.exec_arn)

    world.host.before["upload_vmcore upload"] = abort
    world.hang()
    world.host.before.clear()
    (incident,) = world.records()
    for dump in world.host.disk:
        dump.content += b"more"
    collect(world, incidentId=incident)


def find_another_object(world: World) -> None:
    """verify_vmcore dies when the object is complete. When it is collected again, somebody has overwritten it."""

    def overwrite() -> None:
        world.account.client("s3").put_object(Bucket=world.bucket, Key=_key(world, "vmcore"), Body=b"another")

    _at(world, Site("verify_vmcore", "s3:HeadObject"), overwrite, _COMPLETED)
    _collect_twice(world)


def find_no_object(world: World) -> None:
    """The same, and somebody has deleted it."""
    _at(world, Site("verify_vmcore", "s3:HeadObject"), lambda: _delete(world, "vmcore"), _COMPLETED)
    _collect_twice(world)


def _collect_twice(world: World) -> None:
    world.hang()
    (incident,) = world.records()
    collect(world, incidentId=incident)


def find_another_part(world: World) -> None:
    """Somebody overwrites a part before the upload is completed."""

    def overwrite() -> None:
        s3 = world.account.client("s3")
        (upload,) = s3.list_multipart_uploads(Bucket=world.bucket)["Uploads"]
        where = {"Bucket": world.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
        s3.upload_part(**where, PartNumber=1, Body=b"another", ChecksumSHA256=sha256(b"another"))

    _at(world, Site("verify_vmcore", "s3:ListParts"), overwrite)
    fetch(world)


def interrupt_by_hand_unheard(world: World) -> None:
    """The function that interrupts is not reached: the record says whether it has sent."""
    site = Site("CollectVmcore / Send diagnostic interrupt", "lambda:Invoke")
    world.injection.begin([Fault(site, "refused", "ResourceNotFoundException", times=ALWAYS)])
    world.host.hang()
    scheduler.sleep(150)
    world.start("CollectVmcore", instanceId=world.instance_id, interrupt=True)
    world.settle()


def interrupt_by_hand_in_group(world: World) -> None:
    """It goes into Standby first."""
    auto_scaling_group.join(world)
    world.host.hang()
    scheduler.sleep(150)
    world.run("CollectVmcore", instanceId=world.instance_id, interrupt=True)


def provision_in_group(world: World) -> None:
    """Whether the group would replace the instance during its reboot, and whether a power-off would end it."""
    world.host, world.instance_id = world.add_host()
    auto_scaling_group.join(world)
    world.run("ProvisionDumpVolume", instanceId=world.instance_id, reboot=True, finalAction="poweroff")


def rescue_whose_copy_stays(world: World, *faults: Fault) -> None:
    """The rescue instance ends, but not its volume."""
    ec2 = world.account.state.backend("ec2")

    def keep() -> None:
        for instance_id in [each for each in world.left_of_rescues(world.instance_id) if each.startswith("i-")]:
            ec2.get_instance(instance_id).block_device_mapping["/dev/sdf"].delete_on_termination = False

    _at(world, Site("remove_rescue", "ec2:DescribeInstances"), keep, *faults)
    rescue(world)


def sweep_the_copy(world: World) -> None:
    """The same, and the rescue cannot remove it: a sweep does."""
    site = Site("remove_rescue", "ec2:DeleteVolume")
    rescue_whose_copy_stays(world, Fault(site, "refused", "RequestLimitExceeded", times=ALWAYS))
    world.make_older([each for each in world.left_of_rescues(world.instance_id) if each.startswith("vol-")], hours=2)
    world.sweep()


def analyze_on_twin_by_an_older_record(world: World) -> None:
    """The record does not say from what the instance was launched: EC2 is asked."""
    world.hang()
    (incident,) = world.records()
    world.account.client("dynamodb").update_item(
        TableName=world.outputs["IncidentTableName"],
        Key={"pk": {"S": f"incident#{incident}"}},
        UpdateExpression="REMOVE launchedFrom, network",
    )
    assert world.run("AnalyzeVmcore", incidentId=incident)["status"] == "SUCCEEDED"


def sweep_what_was_left(world: World) -> None:
    """The alarm of an instance that is gone, an upload of a captured vmcore, an instance in Standby."""
    auto_scaling_group.join(world, maximum=1)
    world.hang()
    s3, cloudwatch = world.account.client("s3"), world.account.client("cloudwatch")
    s3.create_multipart_upload(Bucket=world.bucket, Key=_key(world, "vmcore"))
    gone = "i-0123456789abcdef0"
    cloudwatch.put_metric_alarm(
        AlarmName=f"hangdump-{gone}",
        Namespace="AWS/EC2",
        MetricName="StatusCheckFailed_Instance",
        Dimensions=[{"Name": "InstanceId", "Value": gone}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=2,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    scheduler.sleep(timedelta(days=8).total_seconds())
    world.run_by_schedule("sweep")
    world.settle(seconds=5)


def drill_unheard(world: World) -> None:
    """EC2's event of the termination of a twin is lost, whose dump volume is parked: nobody else looks after that."""
    os.environ["DUMP_VOLUME"] = "parked"
    events = world.account.client("events")
    for rule in events.list_rules()["Rules"]:
        if "terminated" in rule.get("EventPattern", ""):
            events.disable_rule(Name=rule["Name"])
    world.run("DrillDump", instanceId=world.instance_id)


def _at(world: World, place: Site, act: Callable[[], None], *faults: Fault) -> None:
    """Acts once, before the first call of that place."""

    def look(site: Site) -> None:
        if site == place:
            with by_nobody(scheduler.current_context()):
                act()

    world.injection.begin(list(faults))
    world.injection.at_new_site = look


def _key(world: World, name: str) -> str:
    (incident,) = world.records()
    account = world.account
    return f"vmcores/{account.account_id}/{account.region}/{world.instance_id}/{incident}/{name}"


def _delete(world: World, name: str) -> None:
    world.account.client("s3").delete_object(Bucket=world.bucket, Key=_key(world, name))


RARE = (
    *(hang_without_conclusion, rescue_without_conclusion, analyze_what_is_gone, open_without_text_beside_it),
    *(upload_another_vmcore, find_another_object, find_no_object, find_another_part, interrupt_by_hand_unheard),
    *(interrupt_by_hand_in_group, provision_in_group, rescue_whose_copy_stays, sweep_the_copy, sweep_what_was_left),
    *(analyze_on_twin_by_an_older_record, drill_unheard),
)
