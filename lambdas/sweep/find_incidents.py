"""Searches the table for incidents without an end, and reads the incidents of found resources."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from lambdas.incident.record import record_key
from lambdas.incident.update_expression import deserialize, serialize
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import Analysis, Collection, Drills, RecordKeeping, Rescue
from lambdas.sweep.found import IncidentFacts, InStandby
from lambdas.sweep.judge_instances import UNFINISHED
from lambdas.sweep.time_left import TimeLeft

_FIELDS = (
    *("pk", "instanceId", "state", "verdict", "openedAt", "executionName", "executionArn", "autoScalingGroup"),
    *("timeline", "verdictReason", "removedVolumeId", "removedVolumeAt"),
)
# IN takes at most 100 values.
_MOST_NAMES = 100
_LONG_AGO = datetime.fromtimestamp(0, UTC)


def find_running() -> frozenset[str]:
    """The names of the running executions that work on incidents. A missing one would look abandoned."""
    return _running(Collection.read().collect_vmcore_arn, Rescue.read().rescue_vmcore_arn)


def find_running_twins() -> frozenset[str]:
    """The names of the running executions of AnalyzeVmcore and DrillDump, which have twins."""
    return _running(Analysis.read().analyze_vmcore_arn, Drills.read().drill_dump_arn)


def _running(*machines: str) -> frozenset[str]:
    pages = (
        page
        for machine in machines
        for page in clients.stepfunctions()
        .get_paginator("list_executions")
        .paginate(stateMachineArn=machine, statusFilter="RUNNING")
    )
    return frozenset(each["name"] for page in pages for each in page["executions"])


def find_unfinished(
    running: frozenset[str], time_left: TimeLeft, *, removed_since: datetime
) -> dict[str, IncidentFacts | None]:
    """Incidents without a verdict, those with a running execution, and those that put an instance into Standby; and
    those whose dump volume was deleted since then.
    """
    states = {f":s{number}": state.value for number, state in enumerate(sorted(UNFINISHED))}
    names = {f":n{number}": name for number, name in enumerate(sorted(running)[:_MOST_NAMES])}
    is_wanted = [
        f"#state IN ({', '.join(states)})",
        "#autoScalingGroup > :none",
        "#removedVolumeAt >= :since",
    ]
    if names:
        is_wanted.append(f"#executionName IN ({', '.join(names)})")
    pages = (
        clients.dynamodb()
        .get_paginator("scan")
        .paginate(
            TableName=RecordKeeping.read().table_name,
            FilterExpression=f"begins_with(#pk, :incident) AND ({' OR '.join(is_wanted)})",
            ProjectionExpression=", ".join(f"#{name}" for name in _FIELDS),
            ExpressionAttributeNames={f"#{name}": name for name in _FIELDS},
            ExpressionAttributeValues=serialize(
                {":incident": "incident#", ":none": "", ":since": moment.iso(removed_since), **states, **names}
            ),
        )
    )
    items = [deserialize(item) for page in time_left.pages("incidents", pages) for item in page["Items"]]
    return {facts.incident_id: facts for facts in (_facts(item, running) for item in items)}


def read_incidents(
    incident_ids: Iterable[str], running: frozenset[str], time_left: TimeLeft
) -> dict[str, IncidentFacts | None]:
    """The incidents by id; None for an id without a record."""
    table = RecordKeeping.read().table_name
    read: dict[str, IncidentFacts | None] = {}
    for incident_id in time_left.pages("incidents of found resources", sorted(set(incident_ids) - {""})):
        answer = clients.dynamodb().get_item(
            TableName=table, Key=serialize({"pk": record_key(incident_id)}), ConsistentRead=True
        )
        item = answer.get("Item")
        read[incident_id] = _facts(deserialize(item), running) if item else None
    return read


def _facts(item: Mapping[str, Any], running: frozenset[str]) -> IncidentFacts:
    # executionArn is of the first execution; a later one for the same incident has another name.
    names = {str(item.get("executionName")), str(item.get("executionArn")).rpartition(":")[2]}
    return IncidentFacts(
        incident_id=str(item["pk"]).removeprefix("incident#"),
        instance_id=str(item.get("instanceId", "")),
        state=str(item.get("state", "")),
        verdict=str(item.get("verdict") or ""),
        opened_at=moment.parse(item["openedAt"]) if item.get("openedAt") else _LONG_AGO,
        is_running=not running.isdisjoint(names),
        auto_scaling_group=str(item.get("autoScalingGroup") or ""),
        execution_name=str(item.get("executionName") or ""),
        timeline=item.get("timeline", []),
        reason=str(item.get("verdictReason") or ""),
        removed_volume_id=str(item.get("removedVolumeId") or ""),
        removed_at=moment.parse(item["removedVolumeAt"]) if item.get("removedVolumeAt") else None,
    )


# DescribeAutoScalingInstances takes up to 50 ids.
_IDS_A_CALL = 50


def find_in_standby(incidents: Mapping[str, IncidentFacts | None], time_left: TimeLeft) -> tuple[InStandby, ...]:
    """The instances that are still in Standby, with their newest incident: incident ids begin with the time."""
    ours = {
        each.instance_id: each
        for _, each in sorted(incidents.items())
        if each is not None and each.auto_scaling_group and each.instance_id
    }
    wanted = sorted(ours)
    found = []
    for chunk in time_left.pages("instances in Standby", _chunks(wanted)):
        described = clients.autoscaling().describe_auto_scaling_instances(InstanceIds=chunk)
        for instance in described["AutoScalingInstances"]:
            if instance["LifecycleState"] == "Standby":
                incident = ours[instance["InstanceId"]]
                found.append(
                    InStandby(
                        instance_id=incident.instance_id,
                        incident_id=incident.incident_id,
                        auto_scaling_group=instance["AutoScalingGroupName"],
                    )
                )
    return tuple(found)


def _chunks(instance_ids: list[str]) -> Iterable[list[str]]:
    return (instance_ids[start : start + _IDS_A_CALL] for start in range(0, len(instance_ids), _IDS_A_CALL))
