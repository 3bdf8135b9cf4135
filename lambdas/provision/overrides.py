"""What an owner chose instead of the stack's settings: a profile by tag, and what is kept for an instance. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lambdas.instance.facts import Instance
from lambdas.provision.provision_input import ProvisionInput
from lambdas.runtime.document_settings import InstanceSettings
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.tags import PROFILE_TAG, which_profiles

# Of one execution. A reboot is wished for each time anew.
_OF_THE_EXECUTION = {"instance_id", "reboot", "use_stack_settings", "conflicting_alarms"}
_SYSCTLS = "panicSysctls"
NO_PROFILE = InstanceSettings.model_validate({})


def profile_of(instance: Instance, profiles: Mapping[str, InstanceSettings]) -> InstanceSettings:
    """Nothing for an instance without the tag. Raises InvalidInput for a value that names no profile."""
    if not instance.profile:
        return NO_PROFILE
    if instance.profile not in profiles:
        raise InvalidInput(
            f"The tag {PROFILE_TAG} of {instance.instance_id} is {instance.profile[:100]!r}; cdk.json has no such "
            "profile.",
            which_profiles(profiles),
        )
    return profiles[instance.profile]


def overrides_of(given: ProvisionInput, remembered: Mapping[str, Any]) -> dict[str, Any]:
    """What was remembered, overridden by what is given now; sysctls one by one. null forgets a setting."""
    now = given.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=_OF_THE_EXECUTION)
    before = {} if given.use_stack_settings else dict(remembered)
    sysctls = {**before.get(_SYSCTLS, {}), **now.get(_SYSCTLS, {})}
    together = {**before, **now, **({_SYSCTLS: sysctls} if sysctls else {})}
    return {name: value for name, value in together.items() if value is not None}


def with_overrides(given: ProvisionInput, overrides: Mapping[str, Any]) -> ProvisionInput:
    """The input as if its owner had given all of them now. Raises InvalidInput for what an older release kept."""
    own = given.model_dump(by_alias=True, exclude_unset=True, include=_OF_THE_EXECUTION)
    try:
        return ProvisionInput.model_validate({**overrides, **own})
    except ValidationError as error:
        wrong = ", ".join(sorted({".".join(map(str, each["loc"])) for each in error.errors()}))
        raise InvalidInput(
            f"What was remembered of {given.instance_id} is no longer valid: {wrong}.",
            'Run ProvisionDumpVolume with "useStackSettings": true and the settings that are to differ.',
        ) from error
