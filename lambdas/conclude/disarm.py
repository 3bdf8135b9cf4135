"""Disarms an instance whose dump shows no hang: the rules mistook a working machine for a hung one."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.incident.record import Incident
from lambdas.runtime import clients
from lambdas.runtime.observability import logger
from lambdas.runtime.tags import DISARMED_TAG
from lambdas.triage import CrashClass, Triage

# A fault in the log this long before the interrupt still belongs to the hang.
_HANG_SECONDS = 1800


def shows_no_hang(incident: Incident, triage: Triage, opened: Mapping[str, Any]) -> bool:
    """Whether an alarm's interrupt hit idle CPUs, no blocked task and no recent warning. False in doubt."""
    if incident.origin != "alarm" or triage.crash_class != CrashClass.NMI_HANG:
        return False
    cpus = opened.get("cpus")
    if not cpus or opened.get("idleCpus") != cpus or triage.blocked_tasks:
        return False
    end = triage.uptime_seconds
    return not any(end is None or each.at is None or end - each.at <= _HANG_SECONDS for each in triage.warnings)


def disarm(incident: Incident) -> str:
    """Tags the instance, so that no alarm interrupts it until the tag is removed. Returns a sentence for users."""
    shown = "The dump shows no hang: every processor was idle, and the log has no blocked task and no recent warning."
    try:
        clients.ec2().create_tags(
            Resources=[incident.instance_id], Tags=[{"Key": DISARMED_TAG, "Value": incident.incident_id}]
        )
    except (ClientError, BotoCoreError) as error:
        logger.exception("%s is not disarmed", incident.instance_id)
        return f"{shown} The instance could not be tagged {DISARMED_TAG}: {error}. Set the tag yourself."
    return f"{shown} No alarm will interrupt the instance until its owner removes the tag {DISARMED_TAG}."
