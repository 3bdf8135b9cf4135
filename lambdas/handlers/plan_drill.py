"""Plans a drill: checks its input and the limits of drills, opens its record, and says what RunInstances needs.

The record comes before the launch: nothing is removed or interrupted as a twin that no record confirms.
"""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.drill.proof import give_claim_back
from lambdas.drill.record import Drill, begin
from lambdas.drill.request import DrillInput, Origin, find_origin, user_data
from lambdas.respond.kill_switch import why_stopped
from lambdas.runtime import moment
from lambdas.runtime.environment import DrillLimits, RecordKeeping, RescueInstancePlace
from lambdas.runtime.errors import DrillInProgress, DrillLimitReached, DrillsOff, InvalidInput
from lambdas.runtime.execution import client_token
from lambdas.runtime.execution_input import read_input
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import DRILL_TAG, ENROLLED_TAG, PROFILE_TAG
from lambdas.runtime.visible_text import visible_line
from lambdas.short_lived.image import root_disk
from lambdas.short_lived.launch import marks, network_interface

# The twin is launched and provisioned in the rest of the hour in which hang_instance hangs it.
_LONGEST_GRACE_SECONDS = 1800
# Reasons that pass, of which the combination is not the cause. A sweep that began such a drill may begin it again; one
# whose image is gone would be refused by each sweep, in place of the others.
_PASSING = (DrillsOff, DrillInProgress, DrillLimitReached)
# The instance's own: a rescue may have its subnet elsewhere, but a drill proves this one.
_OWN_PLACE = RescueInstancePlace(rescue_instance_subnet_id="", rescue_instance_security_group_id="")


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"input","executionId","executionName","endsItselfAfterSeconds"}`; raises a named error."""
    given = read_input(DrillInput, event["input"])
    name = event["executionName"]
    if visible_line(name) != name:
        raise InvalidInput("The execution's name has invisible characters.", "Start it again under another name.")
    try:
        drill, origin, interface = _begin(given, event)
    except _PASSING:
        if given.combination and give_claim_back(RecordKeeping.read().table_name, given.combination, name=name):
            logger.info("The next sweep may begin a drill of %s", given.combination)
        raise
    logger.info("A twin of %s from %s, to hang by %s", origin.subject, drill.image_id, origin.hang)
    token = client_token(event["executionId"])
    tags = marks(
        name=f"hangdump drill of {drill.made_for or drill.image_id}",
        execution_name=name,
        instance_id=drill.made_for,
        **{DRILL_TAG: name},
    )
    # Of the instance only: a volume with the first would count as its owner's, for ever.
    owners = {ENROLLED_TAG: "true"} | ({PROFILE_TAG: origin.profile} if origin.profile else {})
    return {
        "drill": name,
        "imageId": drill.image_id,
        "instanceType": drill.instance_type,
        "blockDevices": root_disk(origin.image),
        "clientToken": token,
        "networkInterface": interface,
        "tags": [
            {
                "ResourceType": "instance",
                "Tags": [*tags, *({"Key": key, "Value": value} for key, value in owners.items())],
            },
            {"ResourceType": "volume", "Tags": tags},
        ],
        "userData": user_data(token, ends_itself_after_seconds=event["endsItselfAfterSeconds"]),
        "hang": origin.hang,
    }


def _begin(given: DrillInput, event: Mapping[str, Any]) -> tuple[Drill, Origin, dict[str, Any]]:
    """Checks everything, then opens the record: the drill, the twin to launch, and its network interface."""
    limits = DrillLimits.read()
    _require_interrupts(limits)
    origin = find_origin(given)
    drill = Drill(
        name=event["executionName"],
        execution_arn=event["executionId"],
        subject=origin.subject,
        made_for=given.instance_id or "",
        image_id=origin.image["ImageId"],
        instance_type=origin.instance_type,
        hang=origin.hang,
        profile=origin.profile,
    )
    interface = network_interface(origin.network, origin.subject, _OWN_PLACE, machine="DrillDump")
    begin(RecordKeeping.read().table_name, drill, limits, now=moment.now())
    return drill, origin, interface


def _require_interrupts(limits: DrillLimits) -> None:
    """The chain would refuse the twin as any instance: nothing needs to be launched to know that."""
    if not limits.drill_budget:
        stop = "The setting drillBudget is 0."
    elif limits.dry_run:
        stop = "The setting dryRun is true."
    elif limits.boot_grace_seconds > _LONGEST_GRACE_SECONDS:
        stop = f"bootGraceSeconds is {limits.boot_grace_seconds}, but a twin is hung within an hour of its launch."
    else:
        stop = why_stopped()
    if stop:
        raise DrillsOff(stop, DrillsOff.next_step)
