"""The id of the settings that reach an instance."""

from typing import Any

import pytest

from lambdas.fleet.configuration import configuration_id
from lambdas.runtime.document_settings import DocumentSettings


def of(**settings: Any) -> str:
    return configuration_id(DocumentSettings.model_validate(settings), period=60)


def test_a_setting_at_its_default_is_no_other_configuration() -> None:
    assert of() == of(mountPoint="/var/crash") == of(panicSysctls={"panic_on_oops": 1})


@pytest.mark.parametrize(
    "changed", [{"dumpLevel": 17}, {"panicSysctls": {"hung_task_panic": 1}}, {"crashkernel": "512M"}]
)
def test_every_setting_of_the_documents_counts(changed: dict[str, Any]) -> None:
    assert of(**changed) != of()


def test_what_an_alarm_is_made_with_counts() -> None:
    assert configuration_id(DocumentSettings.model_validate({}), period=300) != of()
