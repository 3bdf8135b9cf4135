"""The input of a drill: every mistake is named with its field and value. And what the twin boots with."""

import base64
from typing import Any, get_args

import pytest

from hangdump_cli.commands.drill import HANGS
from lambdas.drill.request import DrillInput, Hang, mark_of, user_data
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.execution import client_token
from lambdas.runtime.execution_input import read_input
from ssm_documents.assemble import assemble
from tests.ssm_documents import test_hang_instance

INSTANCE = {"instanceId": "i-0123456789abcdef0"}
IMAGE = {"imageId": "ami-0123456789abcdef0", "instanceType": "m5.large", "subnetId": "subnet-0123456789abcdef0"}


@pytest.mark.parametrize("given", [INSTANCE, IMAGE, {**IMAGE, "securityGroupIds": ["sg-0123456789abcdef0"]}])
def test_takes_an_instance_or_an_image_with_its_place(given: dict[str, Any]) -> None:
    assert read_input(DrillInput, given).hang is None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        pytest.param({}, "imageId, instanceType, subnetId missing", id="nothing"),
        pytest.param({"instanceId": "i-12"}, "instanceId = 'i-12'", id="no instance id"),
        pytest.param({**INSTANCE, "imageId": IMAGE["imageId"]}, "leave out imageId", id="both"),
        pytest.param({**IMAGE, "imageId": "debian"}, "imageId = 'debian'", id="no image id"),
        pytest.param({**IMAGE, "instanceType": "large"}, "instanceType = 'large'", id="no type"),
        pytest.param({**IMAGE, "subnetId": "10.0.0.0/24"}, "subnetId = '10.0.0.0/24'", id="no subnet"),
        pytest.param({**IMAGE, "securityGroupIds": ["web"]}, "securityGroupIds.0 = 'web'", id="no group"),
        pytest.param({**IMAGE, "securityGroupIds": []}, "securityGroupIds = []", id="no groups"),
        pytest.param({**INSTANCE, "hang": "slowly"}, "hang = 'slowly'", id="no way to hang"),
        pytest.param({**INSTANCE, "reboot": True}, "reboot = True: no such key", id="another key"),
    ],
)
def test_refuses_what_is_wrong_by_its_name_and_value(given: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match="execution's input is wrong") as refused:
        read_input(DrillInput, given)

    assert named in str(refused.value)


def test_the_document_the_input_and_the_command_line_know_the_same_ways_to_hang() -> None:
    pattern = assemble("hang_instance")["parameters"]["hang"]["allowedPattern"]
    assert set(pattern.strip("^()$").split("|")) - {"none"} == set(get_args(Hang)) == set(HANGS)


def test_the_twin_is_marked_with_the_token_and_ends_itself_after_each_boot() -> None:
    token = client_token("arn:aws:states:eu-west-1:123456789012:execution:DrillDump:x")

    lines = base64.b64decode(user_data(token, ends_itself_after_seconds=3600)).decode().splitlines()

    # cloud-init runs a boothook at each boot, and other scripts at the first one alone.
    assert lines[:2] == ["#cloud-boothook", "#!/bin/sh"]
    assert lines[2] == mark_of(token)
    assert "60m" in lines[3]


def test_the_tests_of_the_document_use_the_mark_that_the_launch_writes() -> None:
    assert mark_of(test_hang_instance.TOKEN) in test_hang_instance.USER_DATA.splitlines()
