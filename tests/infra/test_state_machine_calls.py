"""What the synthesized state machines ask of AWS: calls that exist, with parameters that they take."""

import re

import botocore.session
import pytest
from botocore import xform_name
from botocore.model import StructureShape

from tests.infra.template import Machine, Template

SDK = re.compile(r"^arn:\$\{AWS::Partition\}:states:::aws-sdk:(?P<service>[a-z0-9]+):(?P<action>[A-Za-z]+)$")


@pytest.fixture(scope="module")
def botocore_session() -> botocore.session.Session:
    return botocore.session.get_session()


def test_every_api_call_has_the_parameters_that_the_api_asks_for(
    machine: Machine, botocore_session: botocore.session.Session
) -> None:
    """Names only: Step Functions takes the API's own names, and reports a wrong one when the state runs."""
    calls = 0
    for name, state in machine.tasks().items():
        found = SDK.match(state["Resource"])
        if found is None:
            continue
        calls += 1
        service = {"sfn": "stepfunctions"}.get(found["service"], found["service"])
        model = botocore_session.get_service_model(service)
        operations = {xform_name(each): each for each in model.operation_names}
        operation = model.operation_model(operations[xform_name(found["action"])])
        assert isinstance(operation.input_shape, StructureShape)
        given = {key.removesuffix(".$") for key in state["Parameters"]}
        aliases = {member[0].upper() + member[1:]: member for member in operation.input_shape.members}
        assert given <= set(aliases), name
        assert {aliases[each] for each in given} >= set(operation.input_shape.required_members), name
        output = operation.output_shape
        for path in state.get("ResultSelector", {}).values():
            for kept in re.findall(r"\$\.([A-Za-z]+)", str(path)):
                assert isinstance(output, StructureShape)
                assert kept in {member[0].upper() + member[1:] for member in output.members}, f"{name}: {kept}"
    assert calls > 1


def test_executions_are_logged_and_traced_but_not_their_data(template: Template) -> None:
    for properties in template.of_type("AWS::StepFunctions::StateMachine").values():
        logging = properties["LoggingConfiguration"]
        assert (logging["Level"], logging.get("IncludeExecutionData")) == ("ALL", False)
        assert properties["TracingConfiguration"] == {"Enabled": True}


def test_the_hang_alarm_asks_the_right_question(template: Template) -> None:
    parameters = template.machine("ProvisionDumpVolume").states["Put hang alarm"]["Parameters"]
    assert (parameters["Namespace"], parameters["MetricName"]) == ("AWS/EC2", "StatusCheckFailed_Instance")
    assert (parameters["Statistic"], parameters["Threshold"]) == ("Maximum", 1)
    assert (parameters["Period"], parameters["EvaluationPeriods"]) == (60, 2)
    assert parameters["TreatMissingData"] == "missing"
    assert "respondtohang" in parameters["AlarmActions"][0]
