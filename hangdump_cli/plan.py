"""What an enrolment will make, cost and reboot, and what stops it: told before anything is touched. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hangdump_cli.advice import by_command
from hangdump_cli.instances import PARKED, Instance, InstanceType, Volume
from hangdump_cli.quotas import Quota
from lambdas.provision.volume_size import LEAST_MEMORY_MIB, plan_size_gib
from lambdas.runtime import errors
from lambdas.runtime.stack_parameter import DumpVolumePlace, StackSettings
from lambdas.runtime.tags import which_profiles

# US dollars a month, list prices of us-east-1 (README.md, Cost).
GP3_GIB_USD = 0.08
ALARM_USD = 0.10
# Of an empty dump volume as a snapshot, at most: the inode tables of ext4 are 1/64 of it. docs/parked-volume.md.
PARKED_GIB_USD = 0.05 / 64
S3_GB_USD = 0.023


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """One instance's part. `obstacle` names the error that would end its provisioning; "" if none is known."""

    instance: Instance
    kept: Volume | None
    # The least, where a new volume is sized by what will be measured.
    new_gib: int
    is_measured: bool
    reboot: str
    is_to_be_parked: bool = False
    obstacle: str = ""
    next_step: str = ""

    @property
    def volume(self) -> str:
        """What it gets."""
        if self.obstacle:
            return "none"
        more = " or more, as measured" if self.is_measured else ""
        then = ", then parked" if self.is_to_be_parked and not self.is_parked else ""
        return f"keeps {self.kept}{then}" if self.kept else f"new, {self.new_gib} GiB{more}{then}"

    @property
    def is_parked(self) -> bool:
        """Whether its volume is parked already, and stays so."""
        return self.kept is not None and self.kept.state == PARKED

    @property
    def monthly_usd(self) -> float:
        """What is added to the bill."""
        if self.obstacle:
            return 0.0
        volume = self.new_gib * (PARKED_GIB_USD if self.is_to_be_parked else GP3_GIB_USD)
        return volume + (0.0 if self.instance.is_marked_ready else ALARM_USD)


@dataclass(frozen=True)
class Plan:
    """All parts, and the quotas with what they need of them."""

    enrolments: Sequence[Enrolment]
    quotas: Sequence[tuple[Quota, float]]

    @property
    def monthly_usd(self) -> float:
        return sum(each.monthly_usd for each in self.enrolments)

    @property
    def is_possible(self) -> bool:
        """Whether no instance is refused and no known quota is too small."""
        return not any(each.obstacle for each in self.enrolments) and not any(
            quota.stops(more) for quota, more in self.quotas
        )


def enrol(
    instance: Instance,
    kind: InstanceType,
    volumes: Sequence[Volume],
    *,
    settings: StackSettings,
    is_reboot_wanted: bool,
    dump_volume: DumpVolumePlace | None = None,
) -> Enrolment:
    """The plan for one instance, as plan_dump_volume will make it. `dump_volume` None: as the settings say."""
    size = new_volume_gib(kind, settings, profile=instance.profile)
    # What a profile wants is for a new volume.
    least = min(size, new_volume_gib(kind, settings, profile=""))
    kept, unfit = _kept(instance, [each for each in volumes if each.state != PARKED], least)
    is_to_be_parked = (dump_volume or settings.with_profile(instance.profile).dump_volume) == PARKED
    if kept is None and unfit is None and is_to_be_parked:
        kept = next((each for each in volumes if each.state == PARKED and each.size_gib >= least), None)
    unknown = None if settings.has_profile(instance.profile) else errors.InvalidInput
    obstacle = _obstacle(instance, kind) or unknown or unfit
    next_step = by_command(obstacle.next_step, instance.instance_id) if obstacle else ""
    return Enrolment(
        instance=instance,
        kept=kept,
        new_gib=0 if kept or obstacle else size,
        is_measured=settings.with_profile(instance.profile).dump_volume_sizing == "measured",
        reboot=_reboot(instance, is_allowed=is_reboot_wanted or settings.allow_reboot),
        is_to_be_parked=is_to_be_parked,
        obstacle=obstacle.__name__ if obstacle else "",
        next_step=which_profiles(settings.profiles) if obstacle is errors.InvalidInput else next_step,
    )


def new_volume_gib(kind: InstanceType, settings: StackSettings, *, profile: str) -> int:
    """The size of a new dump volume; the least, where it is sized by what will be measured."""
    given = settings.profiles.get(profile, {}).get("sizeGib")
    if given:
        return int(given)
    settings = settings.with_profile(profile)
    return plan_size_gib(
        kind.memory_mib,
        sizing=settings.dump_volume_sizing,
        factor=settings.dump_size_factor,
        minimum_gib=settings.minimum_dump_volume_gib,
        dump_level=settings.dump_level,
    )


def plan(enrolments: Sequence[Enrolment], quotas: Mapping[str, Quota]) -> Plan:
    """With what the new volumes and alarms need of each quota."""
    gib = sum(each.new_gib for each in enrolments)
    alarms = sum(not each.obstacle and not each.instance.is_marked_ready for each in enrolments)
    needs = {"gp3": gib / 1024, "alarms": float(alarms)}
    return Plan(enrolments, [(quota, needs[name]) for name, quota in quotas.items()])


def _obstacle(instance: Instance, kind: InstanceType) -> type[errors.HangdumpError] | None:
    """What check_instance would refuse, in its order."""
    refusals: list[tuple[bool, type[errors.HangdumpError]]] = [
        (instance.state != "running", errors.InstanceNotRunning),
        (instance.is_windows, errors.UnsupportedPlatform),
        (kind.hypervisor not in ("nitro", "bare-metal"), errors.UnsupportedHypervisor),
        (not {"x86_64", "arm64"} & set(kind.architectures), errors.UnsupportedArchitecture),
        (kind.memory_mib < LEAST_MEMORY_MIB, errors.InsufficientMemory),
        (instance.ping != "Online", errors.InstanceNotManaged),
    ]
    return next((error for is_true, error in refusals if is_true), None)


def _kept(
    instance: Instance, volumes: Sequence[Volume], size_gib: int
) -> tuple[Volume | None, type[errors.HangdumpError] | None]:
    """The volume that choose_volume would take, or its refusal. It also asks the table whose the volume is."""
    present = [each for each in volumes if each.state not in ("deleting", "deleted", "error")]
    fit = [each for each in present if each.is_encrypted and each.size_gib >= size_gib]
    attached = [each for each in present if each.attached_to == instance.instance_id and not each.is_leaving]
    if attached:
        kept = next((each for each in attached if each in fit), None)
        return kept, None if kept else errors.DumpVolumeUnfit
    free = [each for each in present if each.state in ("available", "creating") and each.zone == instance.zone]
    if present and not free:
        return None, errors.DumpVolumeElsewhere
    usable = [each for each in free if each in fit]
    if len(usable) > 1:
        return None, errors.SeveralDumpVolumes
    return next(iter(usable), None), None


def _reboot(instance: Instance, *, is_allowed: bool) -> str:
    if not is_allowed:
        return "none" if instance.is_marked_ready else "yours, if kdump needs memory"
    one = f"one, unless it is in service in {instance.group}" if instance.group else "one"
    if instance.is_marked_ready:
        return f"none, if nothing changed; else {one}"
    return one if instance.group else "one, if kdump needs memory"
