"""A small cloud assembly for tests of the emulation: hand-written, so that they do not wait for the CDK."""

import json
from pathlib import Path
from typing import Any

ASSET_BUCKET = {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"}


def role(*statements: dict[str, Any]) -> dict[str, Any]:
    """A role that may do what the statements say."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
            "Policies": [{"PolicyName": "Rights", "PolicyDocument": document}],
        },
    }


# Tests of what the services do run as the administrator; those of what a role may do have roles of their own.
ROLE = role({"Effect": "Allow", "Action": "*", "Resource": "*"})
ROLE_ARN = {"Fn::GetAtt": ["Role", "Arn"]}


def write_assembly(directory: Path, files: dict[str, str]) -> Path:
    """An assembly with one zip asset, `code.zip`, of the files given."""
    for name, text in files.items():
        path = directory / "asset.code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    destination = {"bucketName": ASSET_BUCKET["Fn::Sub"], "objectKey": "code.zip"}
    manifest = {
        "files": {"code": {"source": {"path": "asset.code", "packaging": "zip"}, "destinations": {"d": destination}}}
    }
    (directory / "Hangdump.assets.json").write_text(json.dumps(manifest))
    return directory


def function(handler: str, **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"S3Bucket": ASSET_BUCKET, "S3Key": "code.zip"},
            "Handler": handler,
            "Role": ROLE_ARN,
            "Runtime": "python3.14",
            "Architectures": ["arm64"],
            **properties,
        },
    }


def state_machine(name: str, definition: dict[str, Any], **substitutions: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "StateMachineName": name,
            "RoleArn": ROLE_ARN,
            "DefinitionString": json.dumps(definition),
            "DefinitionSubstitutions": substitutions,
        },
    }


def document(name: str, lines: list[str], *, parameters: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
    step = {"action": "aws:runShellScript", "name": "runScript", "inputs": {"runCommand": lines, **inputs}}
    content = {"schemaVersion": "2.2", "parameters": parameters or {}, "mainSteps": [step]}
    return {"Type": "AWS::SSM::Document", "Properties": {"Name": name, "DocumentType": "Command", "Content": content}}


def template(**resources: Any) -> dict[str, Any]:
    """With the bootstrap parameter that every CDK template has."""
    bootstrap = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/hnb659fds/version"}
    return {"Parameters": {"BootstrapVersion": bootstrap}, "Resources": {"Role": ROLE, **resources}}
