"""Checks on the instances tagged ready whether they are, and whether they hold a dump that nobody fetched.

Checks a batch of instances at a time. If a sweep runs out of time, the table keeps where the next one continues.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from lambdas.incident.update_expression import deserialize, serialize
from lambdas.instance.document_models import Found, KdumpCheck, Model, read_as
from lambdas.runtime import clients
from lambdas.runtime.environment import FleetChecks, RecordKeeping
from lambdas.runtime.errors import HangdumpError, UnexpectedResult, VmcoreNotFound
from lambdas.runtime.tags import ENROLLED_TAG, READY_TAG
from lambdas.sweep.fleet_command import INSTANCES_A_COMMAND, Answer, run_on_fleet
from lambdas.sweep.found import Checked
from lambdas.sweep.time_left import TimeLeft

_CURSOR = "sweep#check-instances"
_ONLINE = "Online"
# DescribeInstanceInformation takes up to 100 ids in its filter.
_IDS_A_FILTER = 100


def find_fleet(time_left: TimeLeft) -> dict[str, bool]:
    """The running, enrolled instances, and whether each is tagged ready."""
    filters = [
        # Commands can be sent to enrolled instances only.
        {"Name": f"tag:{ENROLLED_TAG}", "Values": ["true"]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    pages = clients.ec2().get_paginator("describe_instances").paginate(Filters=filters)  # type: ignore[arg-type]
    return {
        instance["InstanceId"]: any(tag["Key"] == READY_TAG for tag in instance.get("Tags", []))
        for page in time_left.pages("enrolled instances", pages)
        for reservation in page["Reservations"]
        for instance in reservation.get("Instances", [])
    }


def check_instances(ready: Collection[str], busy: Collection[str], time_left: TimeLeft) -> tuple[Checked, ...]:
    """Checks the instances tagged ready, but not those with a running collection (`busy`).

    `time_left.unseen` gets those that there was no time for.
    """
    waiting = _rotate_to_cursor(sorted(set(ready) - set(busy)))
    checked: list[Checked] = []
    for start in range(0, len(waiting), INSTANCES_A_COMMAND):
        if time_left.is_over:
            left = waiting[start:]
            time_left.unseen.append(
                f"readiness and dumps of {len(left)} instances; the next sweep continues with {left[0]}"
            )
            _remember(left[0])
            return tuple(checked)
        checked += _check(waiting[start : start + INSTANCES_A_COMMAND], time_left)
    _remember("")
    return tuple(checked)


def _check(instance_ids: Sequence[str], time_left: TimeLeft) -> Iterator[Checked]:
    settings = FleetChecks.read()
    pings = _pings(instance_ids)
    online = [each for each in instance_ids if pings.get(each) == _ONLINE]
    # Both look where an instance has its dump volume; the deployment's mount point is for one that does not know.
    find = {"mountPoint": [settings.mount_point], "action": ["find"]}
    readiness: dict[str, Answer] = {}
    dumps: dict[str, Answer] = {}
    if online:
        readiness = run_on_fleet(settings.check_document, {"mountPoint": ["found"]}, online, time_left)
        dumps = run_on_fleet(settings.upload_document, find, online, time_left)
    for instance_id in instance_ids:
        is_online = instance_id in online
        seen = Checked(
            instance_id=instance_id, is_reachable=is_online, ping_status=pings.get(instance_id, "not registered")
        )
        if is_online:
            seen = _with_readiness(seen, readiness.get(instance_id), time_left)
            seen = _with_dump(seen, dumps.get(instance_id), time_left)
        yield seen


def _with_readiness(seen: Checked, answer: Answer | None, time_left: TimeLeft) -> Checked:
    check = _read(KdumpCheck, "check_kdump", answer)
    if isinstance(check, HangdumpError):
        time_left.unseen.append(f"readiness of {seen.instance_id}: {check}")
        return seen
    faults = {each.code: each.observed for each in check.findings if each.severity == "error"}
    return replace(
        seen,
        is_ready=check.ready,
        is_crash_kernel_loaded=check.crash_kernel_loaded,
        kernel=check.kernel,
        config=check.config_id,
        faults=faults,
    )


def _with_dump(seen: Checked, answer: Answer | None, time_left: TimeLeft) -> Checked:
    if isinstance(answer, VmcoreNotFound):
        return seen
    found = _read(Found, "upload_vmcore find", answer)
    if isinstance(found, HangdumpError):
        time_left.unseen.append(f"dumps on {seen.instance_id}: {found}")
        return seen
    vmcore = found.vmcore
    dump = f"{vmcore.path} ({vmcore.size_bytes >> 20} MiB)" if vmcore else "a dump"
    return replace(seen, uncollected=dump, is_complete=found.status == "complete")


def _read(model: type[Model], source: str, answer: Answer | None) -> Model | HangdumpError:
    """Gives the error instead of raising it: what one instance answers must not end the checks of the others."""
    if answer is None or isinstance(answer, HangdumpError):
        return answer or HangdumpError("no answer in time")
    try:
        return read_as(model, answer, source=source)
    except UnexpectedResult as error:
        return error


def _pings(instance_ids: Sequence[str]) -> dict[str, str]:
    pings: dict[str, str] = {}
    for start in range(0, len(instance_ids), _IDS_A_FILTER):
        filters = [{"Key": "InstanceIds", "Values": list(instance_ids[start : start + _IDS_A_FILTER])}]
        pages = clients.ssm().get_paginator("describe_instance_information").paginate(Filters=filters)  # type: ignore[arg-type]
        pings |= {each["InstanceId"]: each["PingStatus"] for page in pages for each in page["InstanceInformationList"]}
    return pings


def _rotate_to_cursor(instance_ids: list[str]) -> list[str]:
    """Puts the instances first that the last sweep had no time for."""
    answer = clients.dynamodb().get_item(TableName=RecordKeeping.read().table_name, Key=serialize({"pk": _CURSOR}))
    first = deserialize(answer.get("Item", {})).get("next", "")
    return [each for each in instance_ids if each >= first] + [each for each in instance_ids if each < first]


def _remember(instance_id: str) -> None:
    item = serialize({"pk": _CURSOR, "next": instance_id})
    clients.dynamodb().put_item(TableName=RecordKeeping.read().table_name, Item=item)
