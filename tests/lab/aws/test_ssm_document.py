"""Parameters, scripts and environments that a document gives: pure."""

from typing import Any

import pytest

from lab.aws.ssm_document import (
    InvalidParameters,
    UnsupportedDocument,
    check_document,
    prepare,
    resolve,
    size_bytes,
)

NEW_AGENT, OLD_AGENT = "3.3.2746.0", "3.3.2745.9"


def _content(**declaration: Any) -> dict[str, Any]:
    step = {"action": "aws:runShellScript", "name": "s", "inputs": {"runCommand": ["#!/bin/bash", "echo '{{ word }}'"]}}
    return {
        "schemaVersion": "2.2",
        "parameters": {"word": {"type": "String", "default": "calm", **declaration}},
        "mainSteps": [step],
    }


def test_a_parameter_that_was_not_given_has_its_default() -> None:
    assert resolve(_content(), {}) == {"word": "calm"}


@pytest.mark.parametrize(
    ("declaration", "given", "complaint"),
    [
        ({}, {"other": ["x"]}, "not defined"),
        ({"allowedPattern": "^[a-z]+$"}, {"word": ["Loud"]}, "does not match"),
        ({"allowedPattern": "^[a-z]+$"}, {"word": ["calm\n"]}, "does not match"),
        ({"allowedValues": ["calm"]}, {"word": ["loud"]}, "is not one of"),
        ({}, {"word": ["a", "b"]}, "exactly one"),
        ({}, {"word": "calm"}, "exactly one"),
    ],
    ids=["unknown", "against its pattern", "trailing newline", "not allowed", "two values", "no list"],
)
def test_a_bad_parameter_is_refused(declaration: Any, given: Any, complaint: str) -> None:
    with pytest.raises(InvalidParameters, match=complaint):
        resolve(_content(**declaration), given)


def test_a_parameter_without_default_must_be_given() -> None:
    content = _content()
    del content["parameters"]["word"]["default"]
    with pytest.raises(InvalidParameters, match="required"):
        resolve(content, {})


def test_a_text_parameter_is_substituted_in_the_script() -> None:
    step = prepare(_content(), {"word": "loud"}, NEW_AGENT)
    assert step.script == "#!/bin/bash\necho 'loud'"
    assert step.environment == {}


def test_an_env_var_parameter_goes_into_the_environment_and_not_into_the_script() -> None:
    step = prepare(_content(interpolationType="ENV_VAR"), {"word": "$(reboot)"}, NEW_AGENT)
    assert step.script.endswith("echo '{{ word }}'")
    assert step.environment == {"SSM_word": "$(reboot)"}


def test_an_agent_too_old_for_env_var_substitutes_text() -> None:
    step = prepare(_content(interpolationType="ENV_VAR"), {"word": "loud"}, OLD_AGENT)
    assert (step.script.splitlines()[1], step.environment) == ("echo 'loud'", {})


def test_the_execution_timeout_may_be_a_parameter() -> None:
    content = _content()
    content["mainSteps"][0]["inputs"]["timeoutSeconds"] = "{{ word }}"
    assert prepare(content, {"word": "77"}, NEW_AGENT).timeout_seconds == 77


@pytest.mark.parametrize("steps", [[], [{"action": "aws:runDocument", "name": "s"}], [{}, {}]])
def test_a_document_of_other_steps_is_not_run_half_right(steps: Any) -> None:
    with pytest.raises(UnsupportedDocument):
        check_document({"schemaVersion": "2.2", "mainSteps": steps})


def test_parameters_count_towards_the_size() -> None:
    assert size_bytes("x" * 10, {"a": "bcd"}) == 14
