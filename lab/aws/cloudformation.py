"""CloudFormation that refuses what it does not know: creates, updates, rolls back and removes a stack.

How a resource is created and updated is in cloudformation_resources.py.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.parsing import OutputMap
from moto.core.common_models import CloudFormationModel

from lab.aws.cloudformation_resources import RESOURCES, UPDATED_ALONE, UPDATES, Wanted
from lab.aws.eventbridge import Notify
from lab.aws.patches import Patches
from lab.aws.state import AccountState
from lambdas.runtime.stack_parameter import BOOTSTRAP_PARAMETER, BOOTSTRAP_VERSION


class UnsupportedResource(Exception):
    """The template holds something that the lab would deploy wrongly or not at all."""


class RolledBack(Exception):
    """An update of this stack failed, and everything is as it was before."""


def install(patches: Patches) -> None:
    """Real: an unknown type or attribute fails the stack. moto: a warning, and the resource is left out.

    Creators are looked up here rather than registered as subclasses, which moto would keep for the life of the process.
    """

    def make_lookup(original: Any) -> Any:
        def resource_class_from_type(resource_type: str) -> Any:
            if resource_type in RESOURCES:
                return _model(resource_type, parsing.get_model_map().get(resource_type))
            found = original(resource_type) if resource_type in parsing.get_model_map() else None
            if found is None:
                raise UnsupportedResource(f"resource type {resource_type} is not emulated")
            return found

        return resource_class_from_type

    def make_name_property(original: Any) -> Any:
        def resource_name_property_from_type(resource_type: str) -> str | None:
            name: str | None = RESOURCES[resource_type][1] if resource_type in RESOURCES else original(resource_type)
            return name

        return resource_name_property_from_type

    patches.replace(parsing, "resource_class_from_type", make_lookup)
    patches.replace(parsing, "resource_name_property_from_type", make_name_property)
    _install_strictness(patches)


def _install_strictness(patches: Patches) -> None:
    """Real: a reference that cannot be resolved fails the stack. moto: passes it on as it stands in the template."""

    def make_clean(original: Any) -> Any:
        def clean_json(resource_json: Any, resources_map: Any) -> Any:
            result = original(resource_json, resources_map)
            if isinstance(result, dict) and ("Fn::GetAtt" in result or "Ref" in result):
                raise UnsupportedResource(f"{json.dumps(resource_json)} could not be resolved")
            return result

        return clean_json

    def make_create(original: Any) -> Any:
        def parse_and_create_resource(logical_id: str, resource_json: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(logical_id, resource_json, *args, **kwargs)
            except Exception as error:
                error.add_note(f"while creating {logical_id}, {resource_json['Type']}")
                raise

        return parse_and_create_resource

    patches.replace(parsing, "clean_json", make_clean)
    patches.replace(parsing, "parse_and_create_resource", make_create)


def _model(resource_type: str, moto_model: type[CloudFormationModel] | None) -> type:
    creator = RESOURCES[resource_type][0]

    class Model:
        """What moto asks for when it creates a resource; not a CloudFormationModel, so moto does not register it."""

        @classmethod
        def has_cfn_attr(cls, _attribute: str) -> bool:
            return True

        @classmethod
        def create_from_cloudformation_json(
            cls, name: str, cloudformation: dict[str, Any], account_id: str, region: str, **extra: Any
        ) -> Any:
            def create_as_moto() -> CloudFormationModel:
                assert moto_model is not None  # noqa: S101 - creators that ask for it are for types that moto has
                created: CloudFormationModel = moto_model.create_from_cloudformation_json(
                    name, cloudformation, account_id, region, **extra
                )
                return created

            return creator(Wanted(name, cloudformation["Properties"], account_id, region, create_as_moto))

        @classmethod
        def delete_from_cloudformation_json(cls, *described: Any) -> None:
            assert moto_model is not None  # noqa: S101 - what moto lacks deletes itself
            moto_model.delete_from_cloudformation_json(*described)

    return Model


def deploy(
    state: AccountState, template: dict[str, Any], assembly: Path, stack_name: str, *, notify: Notify
) -> dict[str, str]:
    """What `cdk deploy` does: publish the assets, create or update the stack. Gives the stack's outputs.

    `notify` publishes the stack's status to EventBridge. Raises RolledBack for an update that failed.
    """
    url = _publish(state, template, assembly, stack_name)
    stack, failure = _find(state, stack_name), None
    if stack is None:
        _in_process(state, "cloudformation").create_stack(
            StackName=stack_name, TemplateURL=url, Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
        )
        stack = _find(state, stack_name)
    else:
        failure = _update(stack.resource_map, template)
        stack.status = "UPDATE_ROLLBACK_COMPLETE" if failure else "UPDATE_COMPLETE"
        stack.output_map = OutputMap(stack.resource_map, template, stack.stack_id)
    state.events.emit("cloudformation", stack_name, stack.status)
    detail = {"stack-id": stack.stack_id, "status-details": {"status": stack.status, "status-reason": ""}}
    notify("aws.cloudformation", "CloudFormation Stack Status Change", detail, [stack.stack_id])
    if failure is not None:
        raise RolledBack(stack_name) from failure
    return {output.key: output.value for output in stack.output_map.values()}


def destroy(state: AccountState, stack_name: str) -> None:
    """What `cdk destroy` does: what has no policy to stay goes, the last created first."""
    stack = _find(state, stack_name)
    resources = stack.resource_map
    for logical_id in reversed([each for each in resources._parsed_resources if each in resources.resources]):
        described = resources._resource_json_map[logical_id]
        if not described.get("DeletionPolicy", "Delete").startswith("Retain"):
            resources._delete_resource(resources._parsed_resources[logical_id], described)
    del state.backend("cloudformation").stacks[stack.stack_id]


def _find(state: AccountState, stack_name: str) -> Any:
    stacks = state.backend("cloudformation").stacks.values()
    return next((each for each in stacks if each.name == stack_name), None)


def _update(resources: parsing.ResourceMap, template: dict[str, Any]) -> Exception | None:
    """Why it failed. Real: a failure puts back what was changed. moto: keeps trying, then leaves it half done."""
    before = resources._template
    try:
        _change(resources, template)
    except Exception as failure:
        _change(resources, before)
        return failure
    return None


def _change(resources: parsing.ResourceMap, template: dict[str, Any]) -> None:
    """Real: what is new or changed comes first, what is gone last. moto: the other way round."""
    before = resources._resource_json_map
    for logical_id, described in template["Resources"].items():
        _require_emulated(logical_id, before.get(logical_id), described)
    resources._template, resources._resource_json_map = template, template["Resources"]
    resources.load()
    for logical_id, described in template["Resources"].items():
        if logical_id not in resources._parsed_resources:
            resources[logical_id]
        elif before.get(logical_id, {}).get("Properties") != described.get("Properties"):
            _change_resource(resources, logical_id, described)
    for logical_id in [each for each in before if each not in template["Resources"]]:
        if (created := resources._parsed_resources.pop(logical_id, None)) is not None:
            resources._delete_resource(created, before[logical_id])


def _require_emulated(logical_id: str, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
    """Raises UnsupportedResource for an update that would be done wrongly, or in part."""
    old, new = ((each or {}).get("Properties", {}) for each in (before, after))
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    if before is None or not changed:
        return
    kind = after["Type"]
    if kind not in UPDATES or not changed <= UPDATED_ALONE.get(kind, changed):
        raise UnsupportedResource(f"an update of {kind} is not emulated: {sorted(changed)} of {logical_id}")


def _change_resource(resources: parsing.ResourceMap, logical_id: str, described: dict[str, Any]) -> None:
    kind = described["Type"]
    existing = resources._parsed_resources[logical_id]
    _, resolved, name = parsing.parse_resource_and_generate_name(logical_id, described, resources)
    if RESOURCES.get(kind, ("", ""))[1] not in resolved["Properties"]:
        name = existing.physical_resource_id
    wanted = Wanted(name, resolved["Properties"], resources._account_id, resources._region_name, lambda: existing)
    changed = UPDATES[kind](wanted, existing)
    changed.cf_resource_type, changed.logical_resource_id = kind, logical_id
    resources._parsed_resources[logical_id] = changed


def _publish(state: AccountState, template: dict[str, Any], assembly: Path, stack_name: str) -> str:
    """Bootstraps the account, and uploads the assets and the template; the template's URL."""
    s3 = _in_process(state, "s3")
    _in_process(state, "ssm").put_parameter(
        Name=BOOTSTRAP_PARAMETER, Value=str(BOOTSTRAP_VERSION), Type="String", Overwrite=True
    )
    bucket = f"cdk-hnb659fds-assets-{state.account_id}-{state.region}"
    _ensure_bucket(s3, bucket, state.region)
    manifest = assembly / f"{stack_name}.assets.json"
    for asset in json.loads(manifest.read_text())["files"].values() if manifest.exists() else []:
        body = _packaged(assembly / asset["source"]["path"], asset["source"]["packaging"])
        for destination in asset["destinations"].values():
            name, key = (_placed(state, destination[field]) for field in ("bucketName", "objectKey"))
            _ensure_bucket(s3, name, state.region)
            s3.put_object(Bucket=name, Key=key, Body=body)
    # By URL, as the CDK does: a template in the request may have 51,200 bytes, ours has more.
    s3.put_object(Bucket=bucket, Key=f"{stack_name}.json", Body=json.dumps(template).encode())
    return f"https://{bucket}.s3.{state.region}.amazonaws.com/{stack_name}.json"


def _in_process(state: AccountState, service: str) -> Any:
    """A client that moto intercepts: what fails inside raises here instead of becoming a status 500."""
    import boto3  # noqa: PLC0415 - after mock_aws has started

    return boto3.client(service, region_name=state.region)  # type: ignore[call-overload]


def _ensure_bucket(s3: Any, name: str, region: str) -> None:
    if name not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **location)


def _placed(state: AccountState, text: str) -> str:
    replacements = {"AWS::AccountId": state.account_id, "AWS::Region": state.region, "AWS::Partition": "aws"}
    for placeholder, value in replacements.items():
        text = text.replace("${" + placeholder + "}", value)
    return text


def _packaged(path: Path, packaging: str) -> bytes:
    if packaging == "file":
        return path.read_bytes()
    if packaging != "zip":
        raise UnsupportedResource(f"asset packaging {packaging} is not emulated")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for found in sorted(path.rglob("*")):
            if found.is_file():
                archive.write(found, found.relative_to(path))
    return buffer.getvalue()
