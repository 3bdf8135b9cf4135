"""Scripted answers for our documents."""

import pytest

from lab.machines.machine import Completed
from lab.machines.scripted_documents import answers_documents, failed, script_of
from lab.machines.scripted_machine import ScriptedMachine


def test_each_document_gets_its_own_answer() -> None:
    answer = answers_documents(
        {
            "check_kdump": {"ready": True},
            "probe_instance": lambda environment: {"seen": environment["SSM_x"]},
            "upload_vmcore": failed("VmcoreNotFound", "none"),
        }
    )
    machine = ScriptedMachine(answers_with=[answer])

    def run(verb_phrase: str) -> Completed:
        return machine.run(script_of(verb_phrase), environment={"SSM_x": "y"}, timeout_seconds=1)

    assert run("check_kdump") == Completed(0, '{"ready": true}', "")
    assert run("probe_instance").stdout == '{"seen": "y"}'
    assert run("upload_vmcore").exit_code == 1
    assert run("configure_kdump").exit_code == 127


def test_an_answer_for_no_document_is_an_error() -> None:
    with pytest.raises(ValueError, match="no such documents"):
        answers_documents({"reboot_world": {}})
