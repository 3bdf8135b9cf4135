"""Tag events: a change of an instance's tags is told on the bus. Owns no tag."""

from collections.abc import Mapping
from typing import Any

from moto.ec2.models import EC2Backend

from lab.aws.eventbridge import Notify
from lab.aws.patches import Patches
from lab.aws.state import AccountState


def install(patches: Patches, state: AccountState, notify: Notify) -> None:
    """Real: "Tag Change on Resource" for many services, also of the tags that a launch gives. moto: none.

    Here: of instances, by CreateTags and DeleteTags.
    """

    def make(original: Any) -> Any:
        def change(backend: EC2Backend, resource_ids: list[str], tags: Mapping[str, str | None]) -> Any:
            result = original(backend, resource_ids, tags)
            for resource_id in resource_ids:
                # A launch tags, too, when its machine is not there yet.
                if resource_id in state.computers:
                    _tell(backend, resource_id, tags)
            return result

        return change

    def _tell(backend: EC2Backend, instance_id: str, changed: Mapping[str, str | None]) -> None:
        detail = {
            "service": "ec2",
            "resource-type": "instance",
            "changed-tag-keys": sorted(changed),
            "tags": {tag["key"]: tag["value"] for tag in backend.get_instance(instance_id).get_tags()},
        }
        arn = f"arn:aws:ec2:{state.region}:{state.account_id}:instance/{instance_id}"
        notify("aws.tag", "Tag Change on Resource", detail, [arn])

    for verb in ("create_tags", "delete_tags"):
        patches.replace(EC2Backend, verb, make)
