"""The stack of the last release, deployed and then upgraded to today's."""

import json
from pathlib import Path

import pytest

from lab.simulator.world import deployed
from tests.simulator.test_upgrade import last_release, properties_of, template_of


@pytest.mark.nightly
def test_the_stack_of_the_last_release_becomes_todays_and_works(assembly: Path) -> None:
    old, new = last_release(), template_of(assembly)
    # Its functions never run here, so their code may be today's.
    (code,) = {json.dumps(each["Code"]) for each in properties_of(new, "AWS::Lambda::Function")}
    for function in properties_of(old, "AWS::Lambda::Function"):
        function["Code"] = json.loads(code)
    with deployed(assembly, upgraded_from=old) as upgraded:
        ended = upgraded.hang()
        assert ended["output"]["verdict"] == "captured", ended
        (stack,) = upgraded.account.client("cloudformation").describe_stacks()["Stacks"]
        assert stack["StackStatus"] == "UPDATE_COMPLETE"
