"""Plans a round of EnrolFleet: writes what changes in the fleet table, and the work list that the map reads.

The bell is read first: whatever rings it from then on is heard, because EnrolFleet releases it only if it is unchanged.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.drill.proof import read_proofs
from lambdas.drill.record import read_twins
from lambdas.fleet.find_members import find_failed_checks, find_members, find_silent
from lambdas.fleet.plan import Action, Deployment, Item, Member, Plan, plan, proof_of
from lambdas.fleet.rounds import MOST_ITEMS, round_id, round_size, start_of, why_halt
from lambdas.fleet.row import FleetRow
from lambdas.fleet.table import read_rung, scan_rows, write_row
from lambdas.incident.object_keys import FLEET, FLEET_JSON_KEY, FLEET_PAGE_KEY
from lambdas.instance.alarms import list_rival_alarms
from lambdas.report import render_fleet
from lambdas.runtime import bucket, moment
from lambdas.runtime.environment import (
    CheckAssociation,
    Configuration,
    Enrolment,
    FleetTable,
    RecordKeeping,
    VmcoreBucket,
)
from lambdas.runtime.execution import execution_arn
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.weekly_windows import open_window

# As many as the client keeps connections for.
_WRITERS = 8


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"executionName","round"}`, gives `{"seen","items","key","isWaiting","halt"}`.

    `seen` is the count of rings; `halt` says why there is no further round, "" if there may be one.
    """
    name, number = event["executionName"], event["round"]
    table_name = FleetTable.read().fleet_table_name
    seen = read_rung(table_name)
    rows = scan_rows(table_name)
    halt = why_halt(rows.values(), round_id(name, number - 1))
    if halt:
        logger.warning("No further round: %s", halt)
        return {"seen": str(seen), "items": 0, "key": "", "isWaiting": False, "halt": halt}
    planned = _plan(rows, round_id(name, number), most=round_size(number, Enrolment.read().enrolments_per_minute))
    refused = _write(table_name, planned.rows)
    _show({**rows, **{row.instance_id: row for row in planned.rows}}.values())
    work = [item for item in planned.work if item.instance_id not in refused]
    key = f"{FLEET}{name}/work-{number}.json"
    if work:
        bucket.write(VmcoreBucket.read(), key, json.dumps(_as_json(work)), content_type="application/json")
    logger.info("Round %d: %d of %d instances have something to do", number, len(work), len(planned.items))
    return {"seen": str(seen), "items": len(work), "key": key, "isWaiting": planned.is_waiting, "halt": ""}


def _plan(rows: Mapping[str, FleetRow], of_round: str, *, most: int) -> Plan:
    members = find_members(rows)
    settings, now = Enrolment.read(), moment.now()
    configuration = Configuration.read()

    # Whoever is not ready is tried when it is due, whatever a check says.
    ready = {each.instance_id for each in members.values() if each.is_marked_ready}
    proofs = {proof_of(each, rows[each.instance_id]) for each in members.values() if _can_be_proven(each, rows)}
    proven = {
        key: item.get("provenAt", "") for key, item in read_proofs(RecordKeeping.read().table_name, proofs).items()
    }
    drills = read_twins(RecordKeeping.read().table_name, {each.drill for each in members.values() if each.drill})
    failed_checks = find_failed_checks(CheckAssociation.read().check_association_id, ready)

    def decide(silent: Iterable[str], most: int) -> Plan:
        deployment = Deployment(
            configuration_id=configuration.configuration_id,
            profiles=configuration.profile_configuration_ids,
            fleet_limit=settings.fleet_limit,
            now=now,
            silent=frozenset(silent),
            failed_checks=failed_checks,
            may_reboot=bool(open_window(settings.reboot_windows, now)),
            reboots_per_group=settings.reboots_per_group,
            reboots_per_zone=settings.reboots_per_zone,
            proven=proven,
            drills=drills,
        )
        return plan(members, rows, deployment, round_id=of_round, most=most)

    # Only of those whose agent is needed: most instances are ready.
    candidates = [each.instance_id for each in decide((), MOST_ITEMS).work if each.action is Action.PROVISION]
    return decide(find_silent(candidates), most)


def _can_be_proven(member: Member, rows: Mapping[str, FleetRow]) -> bool:
    row = rows.get(member.instance_id)
    return row is not None and bool(row.configuration_id and member.kernel)


def _write(table_name: str, rows: Iterable[FleetRow]) -> set[str]:
    """The instances whose row somebody else has written meanwhile: the next plan judges them anew."""
    changed = list(rows)
    with ThreadPoolExecutor(_WRITERS) as writers:
        written = writers.map(partial(write_row, table_name), changed)
        return {row.instance_id for row, is_written in zip(changed, written, strict=True) if not is_written}


def _show(rows: Collection[FleetRow]) -> None:
    """The page of the fleet and its data. Without them a fleet is enrolled all the same."""
    settings = VmcoreBucket.read()
    data = json.dumps({"schemaVersion": 1, "instances": [row.as_item() for row in rows]})
    try:
        bucket.write(settings, FLEET_JSON_KEY, data, content_type="application/json")
        bucket.write(settings, FLEET_PAGE_KEY, render_fleet(rows), content_type="text/html; charset=utf-8")
    except (ClientError, BotoCoreError) as error:
        logger.warning("The page of the fleet: %s", error)


def _as_json(work: Iterable[Item]) -> list[dict[str, Any]]:
    work = list(work)
    # Once for all of them: each instance on its own would ask three times, at the rate that the gate shares.
    rivals = list_rival_alarms() if any(item.action is Action.PROVISION for item in work) else {}
    per_minute, now = Enrolment.read().enrolments_per_minute, moment.now()
    return [
        {
            **(_retirement(item) if item.action is Action.RETIRE else _provisioning(item, rivals)),
            "notBefore": moment.iso(start_of(place, per_minute, now)),
        }
        for place, item in enumerate(work)
    ]


def _retirement(item: Item) -> dict[str, Any]:
    return {
        "instanceId": item.instance_id,
        "action": item.action.value,
        "reason": item.reason,
        # The states read it of every item.
        "executionArn": "",
    }


def _provisioning(item: Item, rivals: Mapping[str, list[str]]) -> dict[str, Any]:
    # Chosen here, so that a start whose answer was lost finds the same execution again.
    name = f"{item.instance_id}-enrol-{moment.compact(moment.parse(item.row.tried_at))}"
    return {
        "instanceId": item.instance_id,
        "action": item.action.value,
        "reason": item.reason,
        "name": name,
        "executionArn": execution_arn(Enrolment.read().provision_dump_volume_arn, name),
        # Whatever allowReboot says: outside of its windows a reboot is the owner's wish for one instance.
        "input": {
            "instanceId": item.instance_id,
            "reboot": item.reboot,
            "conflictingAlarms": rivals.get(item.instance_id, [])[:100],
        },
    }
