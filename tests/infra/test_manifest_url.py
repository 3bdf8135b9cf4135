"""The documents take a manifest from the stack's own bucket alone: it says where a vmcore is sent."""

import re
from typing import Any

import pytest

from lambdas.runtime import clients
from tests.infra.template import Template

BUCKET = "hangdump-vmcorebucket4af2b100-1x2y3z"
KEY = "manifests/20261123T040000Z-i-0123456789abcdef0/1.tsv"
SUFFIXES = {"cn-north-1": "amazonaws.com.cn"}


def pattern_in(template: Template, region: str, document: str) -> str:
    (content,) = [
        each["Content"]
        for each in template.of_type("AWS::SSM::Document").values()
        if each["Name"] == f"Hangdump-{document}"
    ]
    parts = content["parameters"]["manifestUrl"]["allowedPattern"]["Fn::Join"][1]
    known = {"AWS::Region": region, "AWS::URLSuffix": SUFFIXES.get(region, "amazonaws.com")}
    return "".join(part if isinstance(part, str) else known.get(part["Ref"], BUCKET) for part in parts)


def signed(region: str, monkeypatch: pytest.MonkeyPatch, *, bucket: str = BUCKET, key: str = KEY) -> str:
    monkeypatch.setenv("AWS_REGION", region)
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    client: Any = clients.s3_for_presigning("", clients.Credentials("ASIAEXAMPLE", "secret", "a/long+token=="))
    return str(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=900))


@pytest.mark.parametrize("document", ["upload_vmcore", "analyze_vmcore"])
@pytest.mark.parametrize("region", ["eu-central-1", "us-east-1", "cn-north-1"])
def test_the_urls_that_the_functions_sign_are_taken_and_no_others(
    template: Template, monkeypatch: pytest.MonkeyPatch, document: str, region: str
) -> None:
    pattern = pattern_in(template, region, document)
    own = signed(region, monkeypatch)
    assert re.search(pattern, own)
    assert re.search(pattern, "none")
    for other in (
        signed(region, monkeypatch, bucket="somebody-elses"),
        signed(region, monkeypatch, key="vmcores/x/vmcore"),
        own.replace("https:", "http:"),
        own.replace("https://", "https://evil.example/"),
        own.replace("https://", "https://me@"),
        own.replace(".s3.", ".s3.evil.example/.s3."),
    ):
        assert not re.search(pattern, other), other
