"""What must hold after each run, whatever went wrong in it. Gives violations in words; owns no fault.

What is left behind counts as cared for only when a sweep, really run without faults eight days later, has removed it or
names it in its report.
"""

from typing import Any

from lab.simulator import auto_scaling_group
from lab.simulator.injection import Fault
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from lambdas.incident.record import Incident
from lambdas.runtime.tags import MADE_FOR_TAG, OWNER_TAG

# A channel that refuses for ever cannot be told through: then the other two must have it.
_CHANNELS = {"record": "dynamodb:UpdateItem", "notification": "sns:Publish", "metric": "cloudwatch:PutMetricData"}
_OF_AN_INCIDENT = ("CollectVmcore", "RescueVmcore")
_LAST_RESORT = ("Record the verdict", "Tell the verdict", "Count the verdict")


def judge(world: World, faults: list[Fault]) -> dict[str, Any]:
    """`{"ends", "violations"}`"""
    violations = [f"vmcore removed before it was proven: {path}" for path in world.removed_unproven]
    for host in (world.host, *world.collectors):
        if len(host.nmis) > 1:
            violations.append(f"{len(host.nmis)} interrupts")
    violations += _lost(world)
    violations += _parked(world)
    violations += _changed(world)
    ends = []
    for execution in world.executions():
        name = execution.state_machine.name
        if name in _OF_AN_INCIDENT:
            end, problems = _verdict(world, execution, faults)
        else:
            end, problems = _end(execution)
        ends.append(f"{name}: {end}")
        violations += problems
    if not any(each.startswith("CollectVmcore") for each in ends):
        answers, problems = _answer(world)
        ends += answers
        violations += problems
    enrolled, problems = _enrolled(world)
    ends += enrolled
    violations += problems
    swept, problems = _swept(world)
    ends += swept
    violations += problems
    left = _left(world)
    if left:
        untold, still = _after_sweep(world, days_later=8)
        violations += [f"{each} is left, and no sweep ended it" for each in _twins(world)]
        if untold:
            # The dump volume of a twin that the first one has terminated.
            untold, still = _after_sweep(world, days_later=1)
        violations += [f"{each} is left, and no sweep tells of it" for each in untold]
        ends.append(f"left to the sweep: {len(left)}, removed by it: {len(left) - len(still)}")
    return {"ends": ends, "violations": violations}


def _after_sweep(world: World, *, days_later: float) -> tuple[list[str], list[str]]:
    """What is left and was not told of, and all that is left."""
    named = {f"{each['subject']} {each.get('uploadId', '')}" for each in world.sweep(days_later=days_later)}
    still = _left(world)
    return [each for each in still if not any(each in n for n in named)], still


def _lost(world: World) -> list[str]:
    stored = list(world.vmcores().values())
    return [
        f"vmcore lost: {dump.path}"
        for dump in world.host.written
        if dump not in world.host.disk and dump.content not in stored
    ]


def _parked(world: World) -> list[str]:
    """Whoever is interrupted has a dump volume: attached, or a snapshot that one can be made of."""
    snapshot = world.parked_as()
    if not snapshot or "hangdump:ready" not in world.tags():
        return []
    found = [each["State"] for each in world.snapshots_of(world.instance_id) if each["SnapshotId"] == snapshot]
    return [] if found == ["completed"] else [f"ready, and parked as {snapshot}, which is {found}"]


def _changed(world: World) -> list[str]:
    """An analysis adds to the timeline and links its report; it changes nothing else of a record."""
    now = world.records()
    problems = []
    for incident, before in world.concluded.items():
        after = now.get(incident, {})
        changed = [
            name for name, value in before.items() if name not in ("timeline", "keys") and after.get(name) != value
        ]
        kept = after.get("timeline", [])[: len(before["timeline"])] == before["timeline"]
        is_linked = before.get("keys", {}).items() <= after.get("keys", {}).items()
        if changed or not kept or not is_linked:
            problems.append(f"the record of {incident} changed: {changed or 'timeline or keys'}")
    return problems


def _twins(world: World) -> list[str]:
    """The instances that analyses and drills launched and nobody has ended."""
    made = [{"Name": "tag:Name", "Values": ["hangdump twin of *", "hangdump drill of *"]}]
    return [
        each["InstanceId"]
        for reservation in world.account.client("ec2").describe_instances(Filters=made)["Reservations"]
        for each in reservation["Instances"]
        if each["State"]["Name"] not in ("shutting-down", "terminated")
    ]


def _verdict(world: World, execution: Any, faults: list[Fault]) -> tuple[str, list[str]]:
    if execution.status == "RUNNING":
        return "runs", ["an execution that does not end"]
    # An execution that was started by hand is given no incident, and a refusal was concluded by none.
    names = {execution.name, (execution.input_data or {}).get("incidentId")} - {None}
    found = {
        incident: record
        for incident, record in world.records().items()
        # The timeline names whoever began it, also after a rescue has taken it over.
        if names & {incident, record.get("concludedBy"), *(each.get("detail") for each in record.get("timeline", []))}
    }
    verdict = next((str(record["verdict"]) for record in found.values() if record.get("verdict")), "")
    words = {*names, *found, world.instance_id}
    told = [n for n in world.told() if any(word in n.subject + n.message for word in words)]
    counted = [
        dimensions["verdict"] for name, dimensions in world.metrics() if name == "Incidents" and "verdict" in dimensions
    ]
    said = verdict or next(iter(counted), "")
    problems = []
    refusing = {fault.site.call for fault in faults if fault.site.caller.endswith(_LAST_RESORT)}
    if not verdict and _CHANNELS["record"] not in refusing:
        problems.append("no verdict in the record")
    is_told = any(said and said in n.subject + n.message for n in told)
    if not is_told and not _is_quiet(found) and _CHANNELS["notification"] not in refusing:
        problems.append("no notification of the verdict")
    if said not in counted and _CHANNELS["metric"] not in refusing:
        problems.append("no metric of the verdict")
    if execution.status == "FAILED" and not execution.cause:
        problems.append("an execution that failed without a cause")
    return said or execution.status, problems


def _is_quiet(found: dict[str, dict[str, Any]]) -> bool:
    """A sweep had an orphaned volume read, and no vmcore was found: the sweep's report tells of it."""
    return bool(found) and all(Incident.model_validate(record).is_quiet for record in found.values())


def _end(execution: Any) -> tuple[str, list[str]]:
    """Provisioning keeps no record: its verdict is the execution's own end, with a name and a cause."""
    if execution.status == "SUCCEEDED":
        return str(execution.output["status"]), []
    if execution.status == "ABORTED":
        return "aborted by its user", []
    named = bool(execution.error) and bool(execution.cause)
    return str(execution.error), [] if named else [f"{execution.status} without error and cause"]


def _answer(world: World) -> tuple[list[str], list[str]]:
    """An alarm or a watcher that led to no collection: a refusal, or Lambda's word that the function gave up."""
    if any(each.text == "delivered" for each in world.account.events.matching("cloudwatch")):
        asked_by, functions = "alarm", ["respond_to_hang"]
    elif world.account.events.matching("events", "watch_fleet scheduled"):
        asked_by, functions = "watcher", ["respond_to_hang", "watch_fleet"]
    else:
        return [], []
    verdicts = [str(record["verdict"]) for record in world.records().values() if record.get("verdict")]
    told = [n.subject + n.message for n in world.told()]
    if verdicts:
        # A function that cannot tell fails at last, and Lambda tells of that.
        is_told = any(verdicts[0] in text or "respond_to_hang" in text for text in told)
        return [f"{asked_by}: {verdicts[0]}"], [] if is_told else ["no notification of the refusal"]
    if any(function in text for text in told for function in functions):
        return [f"{asked_by}: given up, told by Lambda's failure destination"], []
    return [f"{asked_by}: nothing"], ["a hang that nobody was told of"]


def _enrolled(world: World) -> tuple[list[str], list[str]]:
    """Whatever went wrong in an enrolment, the plans of the next day bring every instance to where it should be."""
    if not any(execution.state_machine.name == "EnrolFleet" for execution in world.executions()):
        return [], []
    world.injection.begin([])
    # After a failure that is tried again after an hour, and then by the hour.
    for _ in range(3):
        scheduler.sleep(3600)
        world.ring()
        world.settle()
    tags, row = world.tags(), world.fleet().get(world.instance_id)
    wanted = "ready" if tags.get("hangdump:enrolled") == "true" else "retired"
    found = row.status.value if row else "no row"
    is_marked = "hangdump:ready" in tags
    if (found, is_marked) != (wanted, wanted == "ready"):
        return [f"fleet: {found}"], [f"{world.instance_id} is {found} (marked: {is_marked}), not {wanted}"]
    return [f"fleet: {found}"], []


def _swept(world: World) -> tuple[list[str], list[str]]:
    """The sweep by schedule: a report, word of its findings, or Lambda's word that it gave up."""
    if not world.account.events.matching("events", "sweep scheduled"):
        return [], []
    if world.sweep_reports():
        return ["sweep: reported"], []
    told = [n.subject + n.message for n in world.told()]
    if any("could not be written" in text for text in told):
        return ["sweep: told without a report"], []
    if any("Hangdump-sweep" in text for text in told):
        return ["sweep: given up, told by Lambda's failure destination"], []
    return ["sweep: nothing"], ["a sweep that nobody was told of"]


def _left(world: World) -> list[str]:
    """What is neither in use nor removed."""
    ec2, s3 = (world.account.client(name) for name in ("ec2", "s3"))
    owned = [{"Name": "tag-key", "Values": [OWNER_TAG]}]
    made = [{"Name": "tag-key", "Values": [MADE_FOR_TAG]}]
    volumes = [
        each["VolumeId"]
        for filters in (owned, made)
        for each in ec2.describe_volumes(Filters=filters)["Volumes"]
        if filters is made or not each["Attachments"] or world.parked_as()
    ]
    snapshots = [each["SnapshotId"] for each in ec2.describe_snapshots(OwnerIds=["self"], Filters=made)["Snapshots"]]
    parked = world.parked_as()
    snapshots += [each["SnapshotId"] for each in world.snapshots_of(world.instance_id) if each["SnapshotId"] != parked]
    collectors = [
        each["InstanceId"]
        for reservation in ec2.describe_instances(Filters=made)["Reservations"]
        for each in reservation["Instances"]
        if each["State"]["Name"] != "terminated"
    ]
    uploads = [each["UploadId"] for each in s3.list_multipart_uploads(Bucket=world.bucket).get("Uploads", [])]
    standby = [world.instance_id] if "Standby" in auto_scaling_group.lifecycle_state(world) else []
    return [*volumes, *snapshots, *collectors, *uploads, *standby]
