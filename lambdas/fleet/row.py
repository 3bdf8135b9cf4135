"""One row of the fleet table: what is known of an enrolled instance, and why it is not ready. Pure.

The command line reads rows as well, so nothing here needs more than the standard library.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from lambdas.runtime.camel_case import camel_case

ROW_PREFIX = "instance#"


class Status(StrEnum):
    """How far an instance is."""

    READY = "ready"
    # kdump is configured, but only a boot can reserve memory for the crash kernel: the owner's to do.
    REBOOT_REQUIRED = "reboot-required"
    NOT_READY = "not-ready"
    # Ready with settings that are no longer the stack's.
    DRIFTED = "drifted"
    WAITING_FOR_AGENT = "waiting-for-agent"
    FAILED = "failed"
    # It can never dump as it is: tried again only when the instance or the configuration has changed.
    UNSUPPORTED = "unsupported"
    RETIRING = "retiring"
    RETIRED = "retired"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an instance has its status; `remedy` is what to do, "" for nothing."""

    code: str
    # note: nobody needs to act, or not yet
    severity: str = "error"
    observed: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class FleetRow:
    """Times are ISO-8601 in UTC; "" is never."""

    instance_id: str
    status: Status = Status.NOT_READY
    reasons: tuple[Reason, ...] = ()
    # Since when it has this status.
    since: str = ""
    group: str = ""
    zone: str = ""
    kernel: str = ""
    boot_id: str = ""
    family: str = ""
    volume_id: str = ""
    # The settings that its owner picked by tag; "": the stack's own.
    profile: str = ""
    image_id: str = ""
    instance_type: str = ""
    # When a drill last proved a dump with its image, type family, kernel and settings; "": never.
    proven_at: str = ""
    # What its owner gave ProvisionDumpVolume as input instead of the stack's settings.
    overrides: Mapping[str, Any] = field(default_factory=dict)
    # The settings that it was made ready with; "": unknown, it was made ready before there was a table.
    configuration_id: str = ""
    # The last attempt: planned or ended, with which settings, by which execution, and the name of its error.
    tried_at: str = ""
    tried_configuration_id: str = ""
    execution_arn: str = ""
    error: str = ""
    # Attempts since it was last ready, and when the next one is due.
    attempts: int = 0
    next_attempt_at: str = ""
    # When EnrolFleet last had it rebooted; "" again once it is ready.
    rebooted_at: str = ""
    # The round of EnrolFleet that planned the last attempt.
    round: str = ""
    # DynamoDB forgets a retired row after this.
    expires_at_epoch: int = 0
    # Every write adds one; a write of an older reading is refused.
    revision: int = 0

    @property
    def needs_action(self) -> bool:
        """Whether one of its reasons is somebody's to remove."""
        return any(reason.severity == "error" for reason in self.reasons)

    def as_item(self) -> dict[str, Any]:
        """The item as plain values, without fields at their default."""
        values: dict[str, Any] = {"pk": f"{ROW_PREFIX}{self.instance_id}", "status": self.status.value}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "reasons":
                value = [{name: text for name, text in vars(reason).items() if text} for reason in value]
            if value and each.name != "status":
                # As text: DynamoDB has no floats.
                values[camel_case(each.name)] = json.dumps(value, sort_keys=True) if each.name == "overrides" else value
        return values


def read_row(item: Mapping[str, Any]) -> FleetRow:
    """From an item as plain values; ignores what a newer release adds."""
    known = {each.name: item[camel_case(each.name)] for each in fields(FleetRow) if camel_case(each.name) in item}
    known |= {
        "instance_id": str(item["pk"]).removeprefix(ROW_PREFIX),
        "status": Status(known.get("status", Status.NOT_READY)),
        "reasons": _reasons(item.get("reasons", [])),
        "overrides": json.loads(item.get("overrides", "{}")),
    }
    return FleetRow(**known)


def _reasons(found: Sequence[Mapping[str, Any]]) -> tuple[Reason, ...]:
    names = [each.name for each in fields(Reason)]
    return tuple(Reason(**{name: str(each[name]) for name in names if name in each}) for each in found)
