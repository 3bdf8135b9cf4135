"""The input of DrillDump, checked before anything is touched, and the twin that it asks for."""

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lambdas.incident.drill_keys import PROOF_PREFIX
from lambdas.instance.facts import Instance, InstanceType, read_instance, read_instance_type
from lambdas.runtime.errors import (
    DrillImageUnavailable,
    DrillOfTwin,
    InstanceNotFound,
    InvalidInput,
    UnsupportedArchitecture,
    UnsupportedHypervisor,
    UnsupportedPlatform,
)
from lambdas.runtime.execution_input import GivenInput, InstanceId
from lambdas.runtime.tags import MAKER_TAG
from lambdas.short_lived.image import find_image

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import ImageTypeDef

# How hang_instance makes the twin hang.
Hang = Literal["real-time", "cpus-spinning", "file-system", "panic"]
_OF_AN_IMAGE = ("imageId", "instanceType", "subnetId")
# EC2 interrupts no arm64 instance, so nothing ends a hang there in which no kernel panics by itself.
_WITHOUT_INTERRUPT: tuple[Hang, ...] = ("panic",)


class DrillInput(GivenInput):
    """An instance to imitate, or image, type and network; and how its twin hangs."""

    instance_id: InstanceId | None = None
    image_id: Annotated[str, Field(pattern=r"^ami-[0-9a-f]{8}(?:[0-9a-f]{9})?$")] | None = None
    instance_type: Annotated[str, Field(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")] | None = None
    subnet_id: Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8}(?:[0-9a-f]{9})?$")] | None = None
    security_group_ids: (
        Annotated[
            list[Annotated[str, Field(pattern=r"^sg-[0-9a-f]{8}(?:[0-9a-f]{9})?$")]], Field(min_length=1, max_length=16)
        ]
        | None
    ) = None
    # None: the one that the type can be drilled with.
    hang: Hang | None = None
    # drill_keys.proof_key, by a sweep, which has claimed it for this drill.
    combination: Annotated[str, Field(pattern=rf"^{PROOF_PREFIX}")] | None = None

    @model_validator(mode="after")
    def _names_one_origin(self) -> Self:
        given = self.model_dump(by_alias=True, exclude_none=True, exclude={"hang", "combination"})
        if self.instance_id is not None:
            if others := sorted(given.keys() - {"instanceId"}):
                raise ValueError(f"instanceId alone names image, type and network; leave out {', '.join(others)}")
            return self
        if missing := [name for name in _OF_AN_IMAGE if name not in given]:
            raise ValueError(f"{', '.join(missing)} missing: give instanceId alone, or {', '.join(_OF_AN_IMAGE)}")
        return self


@dataclass(frozen=True)
class Origin:
    """The twin to launch. `subject`: the instance or image of which one drill runs at a time."""

    subject: str
    image: "ImageTypeDef"
    instance_type: str
    # SubnetId, SecurityGroups and PublicIpAddress, as DescribeInstances gives them.
    network: dict[str, Any]
    hang: Hang
    # Of the stack's settings; "": the instance has none, or it is an image.
    profile: str = ""


def find_origin(given: DrillInput) -> Origin:
    """Reads from EC2. Raises InstanceNotFound, DrillOfTwin, DrillImageUnavailable, Unsupported…, InvalidInput."""
    if given.instance_id is not None:
        instance = _read(given.instance_id)
        subject, network, profile = instance.instance_id, instance.network, instance.profile
        image_id, instance_type = instance.launched_from.get("ImageId", ""), instance.instance_type
    else:
        image_id, instance_type = str(given.image_id), str(given.instance_type)
        subject, profile = f"{image_id}#{instance_type}", ""
        groups = [{"GroupId": each} for each in given.security_group_ids or ()]
        network = {"SubnetId": given.subnet_id, "SecurityGroups": groups}
    image = find_image(image_id)
    if image is None:
        raise DrillImageUnavailable(
            f"imageId = {image_id or 'unknown'}: the image is deregistered or not shared with this account.",
            DrillImageUnavailable.next_step,
        )
    if image.get("Platform") == "windows":
        raise UnsupportedPlatform(f"{image_id} is an image of Windows.", "Only Linux has kdump.")
    kind = read_instance_type(instance_type)
    # The first is possible with any kernel, and is found by the alarm.
    hang: Hang = given.hang or ("real-time" if kind.takes_interrupt else "panic")
    _require_support(kind, instance_type, hang)
    return Origin(subject, image, instance_type, network, hang, profile)


def _read(instance_id: str) -> Instance:
    instance = read_instance(instance_id)
    if instance is None or "SubnetId" not in instance.network:
        raise InstanceNotFound(
            f"instanceId = {instance_id}: EC2 knows no such instance in this account and Region, or no subnet of it.",
            "Give one that exists, or imageId, instanceType and subnetId.",
        )
    if instance.drill or MAKER_TAG in instance.tags:
        raise DrillOfTwin(f"instanceId = {instance_id}: Hangdump launched it itself.", DrillOfTwin.next_step)
    return instance


def _require_support(kind: InstanceType, name: str, hang: Hang) -> None:
    if kind.hypervisor not in ("nitro", "bare-metal"):
        raise UnsupportedHypervisor(f"instanceType = {name} runs on {kind.hypervisor}.", "Give a Nitro type.")
    if not {"x86_64", "arm64"} & set(kind.architectures):
        raise UnsupportedArchitecture(f"instanceType = {name} is {', '.join(kind.architectures)}.")
    if not kind.takes_interrupt and hang not in _WITHOUT_INTERRUPT:
        raise InvalidInput(
            f"hang = {hang}: EC2 sends no diagnostic interrupt to {name}, so nothing would end this hang.",
            f"Give hang: {' or '.join(_WITHOUT_INTERRUPT)}.",
        )


def mark_of(token: str) -> str:
    """The line of the twin's user data that hang_instance looks for."""
    return f"# hangdump-drill {token}"


def user_data(token: str, *, ends_itself_after_seconds: int) -> str:
    """In base64: the mark, and at each boot a timer that ends the instance should nobody else do so.

    A hang and its reboot would end the timer of a script that runs once, as that of the other short-lived instances.
    Early in the boot systemd takes a timer, but no `shutdown`.
    """
    minutes = ends_itself_after_seconds // 60
    end = f"systemd-run --on-active={minutes}m systemctl poweroff || shutdown -P +{minutes}"
    text = f"#cloud-boothook\n#!/bin/sh\n{mark_of(token)}\n{end}\n"
    return base64.b64encode(text.encode()).decode()
