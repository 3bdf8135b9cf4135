"""Compares the tagged instances with the fleet table: whom to provision, whom to retire, and what the table should say.

Level-triggered: a plan depends on what is, never on what happened. It may be made again at any time, and by two at
once: what it wants is safe to repeat, and a row that somebody wrote meanwhile is not overwritten. Pure.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

from lambdas.fleet.attempts import REBOOT_REFUSED, next_attempt_at, with_status
from lambdas.fleet.row import FleetRow, Reason, Status
from lambdas.incident.drill_keys import proof_key
from lambdas.runtime import moment
from lambdas.runtime.errors import InstanceNotManaged
from lambdas.runtime.tags import ENROLLED_TAG, PROFILE_TAG, which_profiles

# So long an agent may take after a start. Later, the hourly plan is often enough.
AGENT_NEEDS = timedelta(minutes=15)
# EC2 may show a new tag later than it took it.
_TAGS_NEED = timedelta(minutes=10)
_GONE = ("shutting-down", "terminated")
# In its row from the plan on, until the attempt's outcome is noted.
NO_OUTCOME = "NoOutcome"
# Of a reason.
UNKNOWN_PROFILE = "unknown-profile"


class Action(StrEnum):
    """What EnrolFleet does for an instance."""

    RETIRE = "retire"
    PROVISION = "provision"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One instance with the owner's tag, whatever its value, as EC2 says."""

    instance_id: str
    state: str
    # The tag's value; None: it has none any more.
    enrolled: str | None
    # The last start; a reboot does not change it.
    launched_at: datetime
    is_marked_ready: bool = False
    group: str = ""
    zone: str = ""
    profile: str = ""
    image_id: str = ""
    instance_type: str = ""
    # The one that was running when it was last seen ready.
    kernel: str = ""
    # The drill whose twin it says that it is, by its tag, which anybody may set.
    drill: str = ""

    @property
    def is_there(self) -> bool:
        """Whether it exists and its owner has opted in."""
        return self.state not in _GONE and self.enrolled == "true"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What a plan depends on beside the instances and the table."""

    configuration_id: str
    fleet_limit: int
    now: datetime
    # The configuration ids of the profiles.
    profiles: Mapping[str, str] = field(default_factory=dict)
    # Instances that Systems Manager does not reach.
    silent: Collection[str] = ()
    # Instances whose last check by State Manager failed, and when that was.
    failed_checks: Mapping[str, datetime] = field(default_factory=dict)
    # Whether a window for reboots is open, and how many at the same time.
    may_reboot: bool = False
    reboots_per_group: int = 1
    reboots_per_zone: int = 1
    # When drills proved a dump, by drill_keys.proof_key.
    proven: Mapping[str, str] = field(default_factory=dict)
    # The drills that there are, and their twins: "" until a drill has noted its twin.
    drills: Mapping[str, str] = field(default_factory=dict)

    def configuration_of(self, row: FleetRow) -> str:
        """The id of the settings that the instance is to have."""
        return self.profiles.get(row.profile, self.configuration_id)

    def is_twin(self, member: Member) -> bool:
        """Whether its life is a drill's: it is neither provisioned nor retired here, nor counted."""
        return self.drills.get(member.drill) in ("", member.instance_id)


@dataclass(frozen=True)
class Item:
    """What is to be done for one instance, why, and its row from now on."""

    instance_id: str
    action: Action
    reason: str
    row: FleetRow
    # Whether ProvisionDumpVolume may reboot it.
    reboot: bool = False


@dataclass(frozen=True)
class Plan:
    """The items, one for an instance. `rows`: what of the table changes. `is_waiting`: an agent may answer soon."""

    items: tuple[Item, ...] = ()
    rows: tuple[FleetRow, ...] = field(default=())
    is_waiting: bool = False

    @property
    def work(self) -> tuple[Item, ...]:
        """The items with something to do."""
        return tuple(item for item in self.items if item.action is not Action.NOTHING)


def plan(
    members: Mapping[str, Member],
    rows: Mapping[str, FleetRow],
    deployment: Deployment,
    *,
    round_id: str,
    most: int,
) -> Plan:
    """At most `most` items have something to do; retirements and those never tried come first.

    `members` must hold every instance with the tag, and of those with a row that is not retired every one that still
    exists: whoever is absent is gone.
    """
    twins = {each.instance_id for each in members.values() if deployment.is_twin(each)}
    members = {instance_id: each for instance_id, each in members.items() if instance_id not in twins}
    admitted = _admitted(members.values(), rows, deployment.fleet_limit)
    if any(row.rebooted_at and row.status is not Status.READY for row in rows.values()):
        # Somebody has not come back: whatever it is may await the others as well.
        deployment = replace(deployment, may_reboot=False)
    wanted = [
        _judge(members.get(instance_id), rows.get(instance_id), instance_id, deployment, admitted)
        for instance_id in sorted({*members, *rows} - twins)
    ]
    urgent = sorted((item for item in wanted if item.action is not Action.NOTHING), key=_urgency)
    chosen = {item.instance_id for item in islice(_without_further_reboots(urgent, deployment), most)}
    items = tuple(
        replace(item, row=_claimed(item, deployment, round_id))
        if item.instance_id in chosen
        else replace(item, action=Action.NOTHING)
        for item in wanted
    )
    return Plan(items, tuple(_changed(items, rows)), any(_may_answer_soon(each, members, deployment) for each in items))


def _without_further_reboots(items: Iterable[Item], deployment: Deployment) -> Iterator[Item]:
    """A round is a wave: of each group and of each zone only so many are rebooted, the others in the next round."""
    groups: Counter[str] = Counter()
    zones: Counter[str] = Counter()
    for item in items:
        group, zone = item.row.group, item.row.zone
        if item.reboot:
            if (group and groups[group] >= deployment.reboots_per_group) or zones[zone] >= deployment.reboots_per_zone:
                continue
            groups[group] += 1
            zones[zone] += 1
        yield item


def _changed(items: Iterable[Item], rows: Mapping[str, FleetRow]) -> Iterator[FleetRow]:
    return (item.row for item in items if item.row != rows.get(item.instance_id))


def _urgency(item: Item) -> tuple[bool, str, str]:
    return item.action is not Action.RETIRE, item.row.tried_at, item.instance_id


def _claimed(item: Item, deployment: Deployment, round_id: str) -> FleetRow:
    """Until the outcome is noted, nobody plans it again for an hour: also if whoever works on it dies."""
    return replace(
        item.row,
        round=round_id,
        error=NO_OUTCOME,
        tried_at=moment.iso(deployment.now),
        tried_configuration_id=deployment.configuration_of(item.row),
        next_attempt_at=next_attempt_at(1, deployment.now),
        rebooted_at=moment.iso(deployment.now) if item.reboot else item.row.rebooted_at,
    )


def _may_answer_soon(item: Item, members: Mapping[str, Member], deployment: Deployment) -> bool:
    is_silent = item.row.status is Status.WAITING_FOR_AGENT and item.instance_id in deployment.silent
    return is_silent and deployment.now - members[item.instance_id].launched_at < AGENT_NEEDS


def _admitted(members: Iterable[Member], rows: Mapping[str, FleetRow], limit: int) -> set[str]:
    """Whom the fleet limit leaves in: whoever has been in, then the oldest."""
    there = [each for each in members if each.is_there]
    inside = {each.instance_id for each in there if _has_been_in(each, rows.get(each.instance_id))}
    others = sorted((each for each in there if each.instance_id not in inside), key=lambda each: each.launched_at)
    return inside | {each.instance_id for each in others[: max(0, limit - len(inside))]}


def _has_been_in(member: Member, row: FleetRow | None) -> bool:
    if row is None or row.status is Status.RETIRED:
        return member.is_marked_ready
    return bool(row.tried_at) or member.is_marked_ready


def _judge(
    member: Member | None, row: FleetRow | None, instance_id: str, deployment: Deployment, admitted: Collection[str]
) -> Item:
    known = row or FleetRow(instance_id=instance_id)
    if member is not None and member.enrolled is not None and member.state not in _GONE:
        known = replace(
            known,
            group=member.group,
            zone=member.zone,
            profile=member.profile,
            image_id=member.image_id,
            instance_type=member.instance_type,
            kernel=member.kernel or known.kernel,
            proven_at=deployment.proven.get(proof_of(member, known), ""),
        )
    if member is None or not member.is_there:
        return _judge_leaving(member, known, is_new=row is None, deployment=deployment)
    was_retired = known.status is Status.RETIRING and _is_due(known, None, deployment)
    if known.status is Status.RETIRED or was_retired:
        # It begins anew, with the overrides of then.
        known = replace(known, status=Status.NOT_READY, tried_at="", configuration_id="", error="", expires_at_epoch=0)
    if known.profile and known.profile not in deployment.profiles:
        # As it was made, it stays; and so does what was to be done for it.
        status = Status.DRIFTED if known.status is Status.READY and member.is_marked_ready else known.status
        observed = f"The tag {PROFILE_TAG} is {known.profile[:100]!r}; cdk.json has no such profile."
        reason = Reason(code=UNKNOWN_PROFILE, observed=observed, remedy=which_profiles(deployment.profiles))
        return _nothing(known, status, reason, deployment.now)
    return _judge_member(member, known, is_known=row is not None, deployment=deployment, admitted=admitted)


def _judge_leaving(member: Member | None, row: FleetRow, *, is_new: bool, deployment: Deployment) -> Item:
    """Its owner took the tag away, gave it another value, or ended the instance."""
    now = deployment.now
    if member is None or member.state in _GONE:
        reason = Reason(code="instance-terminated", severity="note", observed="The instance is gone.")
    elif member.enrolled is None:
        reason = Reason(code="tag-removed", severity="note", observed=f"The tag {ENROLLED_TAG} was removed.")
    else:
        remedy = f"Set it to exactly true to enrol the instance, or remove the tag {ENROLLED_TAG}."
        reason = Reason(code="wrong-tag-value", observed=f"{ENROLLED_TAG} is {member.enrolled[:100]!r}.", remedy=remedy)
    was_never_in = is_new or (row.status is Status.NOT_READY and not row.tried_at)
    if was_never_in and reason.code == "wrong-tag-value" and not _is_marked(member):
        return Item(row.instance_id, Action.NOTHING, reason.code, with_status(row, Status.NOT_READY, reason, now=now))
    if row.status is Status.RETIRED:
        # Whoever is absent was not looked up again, which says nothing of the instance.
        row = row if member is None else replace(row, reasons=(reason,))
        return Item(row.instance_id, Action.NOTHING, reason.code, row)
    is_again = row.status is Status.RETIRING
    if is_again and not _is_due(row, None, deployment):
        return Item(row.instance_id, Action.NOTHING, "retiring", row)
    row = row if is_again else replace(row, attempts=0)
    return Item(row.instance_id, Action.RETIRE, reason.code, with_status(row, Status.RETIRING, reason, now=now))


def proof_of(member: Member, row: FleetRow) -> str:
    """The key of the proof that a drill may have left for this instance as it is now."""
    return proof_key(
        image_id=member.image_id,
        instance_type=member.instance_type,
        kernel=member.kernel,
        configuration_id=row.configuration_id,
    )


def _is_marked(member: Member | None) -> bool:
    return member is not None and member.is_marked_ready


def _judge_member(
    member: Member, row: FleetRow, *, is_known: bool, deployment: Deployment, admitted: Collection[str]
) -> Item:
    """An instance whose owner has opted in."""
    now = deployment.now
    if member.state != "running":
        observed = f"The instance is {member.state}."
        reason = Reason(code="not-running", severity="note", observed=observed, remedy="Start it.")
        return _nothing(row, Status.NOT_READY, reason, now)
    configuration_id = deployment.configuration_of(row)
    # An attempt with other settings that failed may have got half-way.
    is_half_changed = bool(row.error) and row.tried_configuration_id != configuration_id
    is_as_wanted = row.configuration_id in ("", configuration_id) and not is_half_changed
    is_current = is_as_wanted and row.status is not Status.REBOOT_REQUIRED
    is_armed = member.is_marked_ready or _was_just_made_ready(row, now)
    if is_current and is_armed and not _fails_its_checks(row, deployment):
        return _judge_ready(row, is_known=is_known, deployment=deployment)
    row = _why_not_ready(member, row, deployment)
    reboot = deployment.may_reboot and row.status is Status.REBOOT_REQUIRED and row.reasons[0].code != REBOOT_REFUSED
    if not reboot and not _is_due(row, member, deployment):
        return Item(row.instance_id, Action.NOTHING, "not due", row)
    if member.instance_id in deployment.silent:
        reason = Reason(
            code=InstanceNotManaged.__name__,
            severity="note" if now - member.launched_at < AGENT_NEEDS else "error",
            observed="Systems Manager does not reach its agent.",
            remedy=InstanceNotManaged.next_step,
        )
        return _nothing(row, Status.WAITING_FOR_AGENT, reason, now)
    if member.instance_id not in admitted:
        reason = Reason(
            code="over-fleet-limit",
            observed=f"More instances are tagged than fleetLimit allows, which is {deployment.fleet_limit}.",
            remedy="Raise fleetLimit in cdk.json and deploy, or remove the tag from others.",
        )
        return _nothing(row, Status.NOT_READY, reason, now)
    why = row.reasons[0].code if row.reasons else row.status.value
    return Item(row.instance_id, Action.PROVISION, why, row, reboot=reboot)


def _fails_its_checks(row: FleetRow, deployment: Deployment) -> bool:
    """Its last check failed, and no attempt since then made it ready. One that was adopted is left alone."""
    failed_at = deployment.failed_checks.get(row.instance_id)
    return failed_at is not None and bool(row.tried_at) and (bool(row.error) or row.tried_at < moment.iso(failed_at))


def _was_just_made_ready(row: FleetRow, now: datetime) -> bool:
    return row.status is Status.READY and bool(row.tried_at) and now - moment.parse(row.tried_at) < _TAGS_NEED


def _judge_ready(row: FleetRow, *, is_known: bool, deployment: Deployment) -> Item:
    """It is marked ready. Its own words stay, if its last attempt was what made it so."""
    now = deployment.now
    if not is_known or (not row.configuration_id and row.status is not Status.READY):
        reason = Reason(
            code="adopted",
            severity="note",
            observed="It was made ready before there was a fleet table, so its own settings are unknown.",
            remedy="Run ProvisionDumpVolume for it once, with its settings: from then on it follows the stack's.",
        )
        return _nothing(row, Status.READY, reason, now)
    if row.status is Status.READY:
        return Item(row.instance_id, Action.NOTHING, "ready", row)
    row = replace(row, attempts=0, next_attempt_at="", error="")
    return _nothing(row, Status.READY, None, now)


def _why_not_ready(member: Member, row: FleetRow, deployment: Deployment) -> FleetRow:
    """The row of an instance that is to be made ready, before anybody tries."""
    now = deployment.now
    if member.is_marked_ready and not row.error and row.configuration_id != deployment.configuration_of(row):
        remedy = "Nothing: EnrolFleet provisions it again."
        observed = "The stack's settings have changed since, or its profile."
        reason = Reason(code="drifted", severity="note", observed=observed, remedy=remedy)
        return with_status(row, Status.DRIFTED, reason, now=now)
    if not row.tried_at:
        remedy = "Nothing: EnrolFleet provisions it."
        observed = "It was not provisioned yet."
        reason = Reason(code="not-provisioned", severity="note", observed=observed, remedy=remedy)
        return with_status(row, Status.NOT_READY, reason, now=now)
    if row.status in (Status.READY, Status.DRIFTED) and not row.error:
        code, observed = "mark-gone", "It is no longer marked ready: a check or a dump found a fault."
        if member.is_marked_ready:
            code, observed = "check-failed", "It is marked ready, but its last check_kdump failed."
        remedy = "Nothing: EnrolFleet provisions it again."
        reason = Reason(code=code, severity="note", observed=observed, remedy=remedy)
        return with_status(replace(row, next_attempt_at=""), Status.NOT_READY, reason, now=now)
    return row


def _nothing(row: FleetRow, status: Status, reason: Reason | None, now: datetime) -> Item:
    changed = with_status(row, status, *([reason] if reason else []), now=now)
    return Item(row.instance_id, Action.NOTHING, reason.code if reason else status.value, changed)


def _is_due(row: FleetRow, member: Member | None, deployment: Deployment) -> bool:
    if not row.tried_at:
        return True
    if any(reason.code == UNKNOWN_PROFILE for reason in row.reasons):
        # It has a profile that exists now.
        return True
    was_started_since = member is not None and moment.iso(member.launched_at) > row.tried_at
    if was_started_since or row.tried_configuration_id != deployment.configuration_of(row):
        return True
    return row.status is not Status.UNSUPPORTED and moment.iso(deployment.now) >= row.next_attempt_at
