"""CloudFormation that refuses what it does not know. Owns lookup and assets, not how a resource is created."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel

from lab.aws.cloudformation_resources import RESOURCES, Wanted
from lab.aws.eventbridge import Notify
from lab.aws.patches import Patches
from lab.aws.state import AccountState

BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
# What the assembly of the pinned CDK asks for at least.
BOOTSTRAP_VERSION = "30"


class UnsupportedResource(Exception):
    """The template holds something that the lab would deploy wrongly or not at all."""


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

    return Model


def deploy(
    state: AccountState, template: dict[str, Any], assembly: Path, stack_name: str, *, notify: Notify
) -> dict[str, str]:
    """What `cdk deploy` does: bootstrap, publish the assets, create the stack. Gives the stack's outputs.

    `notify` publishes the stack's status to EventBridge.
    """
    s3, ssm, cloudformation = (_in_process(state, name) for name in ("s3", "ssm", "cloudformation"))
    ssm.put_parameter(Name=BOOTSTRAP_PARAMETER, Value=BOOTSTRAP_VERSION, Type="String", Overwrite=True)
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
    cloudformation.create_stack(
        StackName=stack_name,
        TemplateURL=f"https://{bucket}.s3.{state.region}.amazonaws.com/{stack_name}.json",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    )
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    state.events.emit("cloudformation", stack_name, stack["StackStatus"])
    detail = {"stack-id": stack["StackId"], "status-details": {"status": stack["StackStatus"], "status-reason": ""}}
    notify("aws.cloudformation", "CloudFormation Stack Status Change", detail, [stack["StackId"]])
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


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
