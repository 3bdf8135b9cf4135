"""What the template gives a function is what its code asks for: variables, rights, settings."""

import re
from typing import Any

import pytest

from infra.read_settings import load
from infra.settings import Settings
from lambdas.provision.provision_input import document_parameters
from lambdas.runtime import environment
from lambdas.runtime.document_settings import PanicSysctls
from ssm_documents import assemble
from tests.infra.lambda_calls import aws_calls, environment_models
from tests.infra.template import MACHINES, Template, actions
from tests.infra.test_template import BEHAVIOURS

# Calls whose right is not named after them.
RIGHTS = {
    ("dynamodb", "transact_write_items"): {"dynamodb:UpdateItem"},
    # The link to a report.
    ("s3_for_links", "generate_presigned_url"): {"s3:GetObject"},
    ("lambda_", "invoke"): {"lambda:InvokeFunction"},
    ("s3", "head_object"): {"s3:GetObject"},
    ("s3", "list_objects_v2"): {"s3:ListBucket"},
    ("s3", "list_parts"): {"s3:ListMultipartUploadParts"},
    ("s3", "list_multipart_uploads"): {"s3:ListBucketMultipartUploads"},
    ("s3", "create_multipart_upload"): {"s3:PutObject"},
    ("s3", "complete_multipart_upload"): {"s3:PutObject"},
    # Of a bucket with versions.
    ("s3", "delete_object"): {"s3:DeleteObjectVersion"},
}
SERVICES = {
    "ec2_without_retries": "ec2",
    "ec2_best_effort": "ec2",
    "cloudwatch_best_effort": "cloudwatch",
    "s3_best_effort": "s3",
    "ssm_short_retry": "ssm",
    "autoscaling_without_retries": "autoscaling",
    "stepfunctions": "states",
}
# Rights that belong to no call in lambdas/: the runtime's own, S3's use of the key, S3's 404 instead of 403, the
# notice of a failure, and what Lambda reads of a stream in the function's role.
BESIDES = {
    *("logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"),
    *("kms:Decrypt", "kms:GenerateDataKey", "s3:ListBucket", "sns:Publish"),
    *("dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:PutItem"),
    "dynamodb:UpdateItem",
    *("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"),
    # Presigned: used by the instance.
    *("s3:PutObject", "s3:GetObject"),
}


def _asked(verb_phrase: str) -> set[str]:
    asked: set[str] = set()
    for client, method in aws_calls(f"lambdas.handlers.{verb_phrase}"):
        service = SERVICES.get(client, client)
        api = "".join(word.capitalize() for word in method.split("_"))
        asked |= RIGHTS.get((client, method), {f"{service}:{api}"})
    return asked


def _granted(template: Template, verb_phrase: str) -> set[str]:
    (function,) = [
        each
        for each in template.of_type("AWS::Lambda::Function").values()
        if each["FunctionName"] == f"Hangdump-{verb_phrase}"
    ]
    return {action for statement in template.statements(template.role_of(function)) for action in actions(statement)}


@pytest.mark.parametrize("verb_phrase", sorted(BEHAVIOURS))
def test_a_function_may_make_every_call_that_it_can_come_to(template: Template, verb_phrase: str) -> None:
    assert _asked(verb_phrase) - _granted(template, verb_phrase) == set()


@pytest.mark.parametrize("verb_phrase", sorted(BEHAVIOURS))
def test_a_function_may_do_nothing_that_it_never_does(template: Template, verb_phrase: str) -> None:
    assert _granted(template, verb_phrase) - _asked(verb_phrase) - BESIDES == set()


def test_the_calls_are_really_found() -> None:
    assert ("ec2_without_retries", "send_diagnostic_interrupt") in aws_calls("lambdas.handlers.respond_to_hang")
    assert ("s3", "complete_multipart_upload") in aws_calls("lambdas.handlers.verify_vmcore")
    interrupting = {each for each in BEHAVIOURS if "ec2:SendDiagnosticInterrupt" in _asked(each)}
    assert interrupting == {"respond_to_hang", "send_diagnostic_interrupt"}


@pytest.mark.parametrize("verb_phrase", sorted(BEHAVIOURS))
def test_a_function_finds_every_variable_that_it_reads(functions: dict[str, dict[str, Any]], verb_phrase: str) -> None:
    given = set(functions[f"Hangdump-{verb_phrase}"]["Environment"]["Variables"])
    needed = {
        name.upper()
        for model in environment_models(f"lambdas.handlers.{verb_phrase}")
        for name, variable in getattr(environment, model).model_fields.items()
        if variable.is_required()
    }
    assert needed - given == set()


def test_the_variables_hold_values_that_their_models_accept(
    functions: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = set()
    for verb_phrase in sorted(BEHAVIOURS):
        with monkeypatch.context() as patched:
            for name, value in functions[f"Hangdump-{verb_phrase}"]["Environment"]["Variables"].items():
                patched.setenv(name, value if isinstance(value, str) else "known-when-deployed")
            for model in environment_models(f"lambdas.handlers.{verb_phrase}"):
                getattr(environment, model).read()
                checked.add(model)
            if verb_phrase == "plan_dump_volume":
                settings = environment.Provisioning.read().document_settings
    assert "InterruptLimits" in checked
    assert settings == load({}).document_settings()


def _parameters(verb_phrase: str) -> dict[str, dict[str, Any]]:
    parameters: dict[str, dict[str, Any]] = assemble.assemble(verb_phrase)["parameters"]
    return parameters


@pytest.mark.parametrize("name", ["mount_point", "crashkernel", "core_collector"])
def test_a_setting_is_refused_by_the_same_pattern_as_in_the_document(name: str) -> None:
    schema = Settings.model_json_schema()["properties"]
    parameter = "".join(part.capitalize() if index else part for index, part in enumerate(name.split("_")))
    assert schema[parameter]["pattern"] == _parameters("configure_kdump")[parameter]["allowedPattern"]


def test_every_default_is_accepted_by_the_document_that_gets_it() -> None:
    parameters = _parameters("configure_kdump")
    given = document_parameters(load({}).document_settings(), reboot=False, takes_interrupt=True).configure
    for name, (value,) in given.items():
        assert re.search(parameters[name]["allowedPattern"], value), name
    # Every sysctl that the document knows can be set by the settings, and no other.
    assert set(PanicSysctls.model_fields) == {name for name in parameters if "_" in name}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_machine_gives_a_document_only_parameters_that_it_has(template: Template, machine: str) -> None:
    documents = {
        logical_id: properties["Content"]["parameters"]
        for logical_id, properties in template.of_type("AWS::SSM::Document").items()
        if "parameters" in properties["Content"]
    }
    seen = 0
    for name, state in template.machine(machine).tasks().items():
        if not state["Resource"].endswith(":sendCommand"):
            continue
        seen += 1
        assert state["Parameters"]["DocumentVersion"] == "$LATEST", name
        logical_id = state["Parameters"]["DocumentName"].strip("${}")
        for parameter, value in state["Parameters"].get("Parameters", {}).items():
            known = documents[logical_id][parameter.removesuffix(".$")]
            if isinstance(value, list):
                assert re.search(known["allowedPattern"], value[0]), f"{name}: {parameter}"
    # EnrolFleet starts ProvisionDumpVolume, and sends no command itself.
    assert bool(seen) == (machine != "EnrolFleet")
