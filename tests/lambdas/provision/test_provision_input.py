"""The input of ProvisionDumpVolume: what is allowed, what is said of the rest, and what the documents get."""

import json
import re
from typing import Any

import pytest

from lambdas.handlers import plan_dump_volume
from lambdas.runtime import document_settings
from lambdas.runtime.errors import InvalidInput
from ssm_documents.assemble import assemble
from tests.lambdas.account import Account
from tests.lambdas.conftest import Launch
from tests.lambdas.provisioning import EXECUTION, plan


def test_every_parameter_of_the_documents_is_given_and_fits_its_pattern(launch: Launch, context: Any) -> None:
    planned = plan(context, launch(), panicSysctls={"softlockup_panic": 1, "kernel_panic": 30}, reboot=True)
    for document, key in (
        ("prepare_dump_volume", "prepareParameters"),
        ("configure_kdump", "configureParameters"),
        ("check_kdump", "checkParameters"),
    ):
        declared = assemble(document)["parameters"]
        assert set(planned[key]) <= set(declared), document
        for name, values in planned[key].items():
            (value,) = values
            assert re.fullmatch(declared[name]["allowedPattern"], value), f"{document}.{name} = {value}"
    configured = planned["configureParameters"]
    assert configured["softlockup_panic"] == ["1"]
    assert configured["kernel_panic"] == ["30"]
    assert configured["unknown_nmi_panic"] == ["1"], "the settings' values stay"
    assert configured["reboot"] == ["true"]
    assert planned["reboot"] is True


def test_the_check_is_told_what_the_crash_kernel_is_to_do(launch: Launch, context: Any) -> None:
    assert plan(context, launch())["checkParameters"]["finalAction"] == ["reboot"]


TRIGGERS = ("softlockup_panic", "panic_on_oops", "panic_on_rcu_stall")


def _sysctls_on(planned: dict[str, Any]) -> set[str]:
    return {name for name, values in planned["configureParameters"].items() if "_" in name and values == ["1"]}


def test_graviton_gets_triggers_of_its_own_and_no_nmi_sysctl(launch: Launch, context: Any) -> None:
    planned = plan(context, launch(instance_type="t4g.micro"))
    assert _sysctls_on(planned) == set(TRIGGERS)
    assert planned["configureParameters"]["unknown_nmi_panic"] == ["0"]
    interrupt = planned["diagnosticInterrupt"]
    assert interrupt["status"] == "unsupported"
    assert "no diagnostic interrupt to arm64" in interrupt["detail"]
    assert ", ".join(TRIGGERS) in interrupt["detail"]


def test_interrupt_needs_no_trigger_inside(launch: Launch, context: Any) -> None:
    planned = plan(context, launch())
    assert planned["diagnosticInterrupt"]["status"] == "supported"
    assert _sysctls_on(planned) == {"unknown_nmi_panic", "panic_on_oops"}


def test_input_switches_a_trigger_off_on_graviton(launch: Launch, context: Any) -> None:
    planned = plan(context, launch(instance_type="t4g.micro"), panicSysctls={"hung_task_panic": 0})
    assert _sysctls_on(planned) == set(TRIGGERS) - {"hung_task_panic"}
    assert "hung_task_panic" not in planned["diagnosticInterrupt"]["detail"]


def test_setting_that_was_chosen_wins_over_what_graviton_gets_by_default(
    launch: Launch, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"panicSysctls": {"softlockup_panic": 0, "unknown_nmi_panic": 1}}
    monkeypatch.setenv("DOCUMENT_SETTINGS", json.dumps(chosen))
    planned = plan(context, launch(instance_type="t4g.micro"))
    assert _sysctls_on(planned) == set(TRIGGERS) - {"softlockup_panic"}
    assert planned["configureParameters"]["unknown_nmi_panic"] == ["0"]


def test_a_setting_of_the_fleet_that_only_x86_has_is_left_out_on_graviton_and_said(
    launch: Launch, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"panicSysctls": {"hardlockup_panic": 1, "panic_on_io_nmi": 1, "hung_task_panic": 1}}
    monkeypatch.setenv("DOCUMENT_SETTINGS", json.dumps(chosen))

    planned = plan(context, launch(instance_type="t4g.micro"))

    assert _sysctls_on(planned) == {*TRIGGERS, "hung_task_panic"}
    assert (
        "left out, which only x86_64 has: hardlockup_panic, panic_on_io_nmi."
        in (planned["diagnosticInterrupt"]["detail"])
    )
    # What is asked for this very instance, its kernel must have: configure_kdump says so if not.
    asked = plan(context, launch(instance_type="t4g.micro"), panicSysctls={"hardlockup_panic": 1})
    assert asked["configureParameters"]["hardlockup_panic"] == ["1"]
    assert plan(context, launch())["configureParameters"]["hardlockup_panic"] == ["1"]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("mountPoint", document_settings.MOUNT_POINT),
        ("crashkernel", document_settings.CRASHKERNEL),
        ("coreCollector", document_settings.CORE_COLLECTOR),
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        "/var/crash",
        "/",
        "/a/../b",
        "/a b",
        "auto",
        "256M",
        "1G-4G:192M,4G-:256M",
        "512M,high",
        "256M;reboot",
        "makedumpfile -l --message-level 7",
        "makedumpfile $(id)",
        "",
    ],
)
def test_the_input_allows_exactly_what_the_document_allows(name: str, pattern: str, value: str) -> None:
    allowed = assemble("configure_kdump")["parameters"][name]["allowedPattern"]
    assert bool(re.search(pattern, value)) == bool(re.search(allowed, value))


def test_the_settings_may_allow_reboots_that_the_input_forbids(
    launch: Launch, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOW_REBOOT", "true")
    instance_id = launch()
    assert plan(context, instance_id)["reboot"] is True
    forbidden = plan(context, instance_id, reboot=False)
    assert forbidden["reboot"] is False
    assert forbidden["configureParameters"]["reboot"] == ["false"]


def test_refuses_a_size_that_no_volume_has(launch: Launch, context: Any) -> None:
    with pytest.raises(InvalidInput, match="volume of 76800 GiB; gp3 allows 65536"):
        plan(context, launch(instance_type="r5.24xlarge"), dumpSizeFactor=100)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"instanceId": "web-1"}, "instanceId = 'web-1'", id="no-id"),
        pytest.param({"instanceId": None}, "instanceId = None", id="null"),
        pytest.param({}, "instanceId is missing", id="nothing"),
        pytest.param("i-0123456789abcdef0", "input = 'i-0123456789abcdef0'", id="text"),
        pytest.param(
            {"instanceId": "i-0123456789abcdef0", "instance": 1},
            "instance = 1: no such key; allowed are instanceId, fileSystem",
            id="unknown-key",
        ),
        pytest.param(
            {"instanceId": "i-0123456789abcdef0", "reboot": "true"}, "reboot = 'true': ", id="text-is-no-boolean"
        ),
        pytest.param(
            {"instanceId": "i-0123456789abcdef0", "fileSystem": "btrfs"},
            "fileSystem = 'btrfs': Input should be 'xfs' or 'ext4'",
            id="file-system",
        ),
        pytest.param({"instanceId": "i-0123456789abcdef0", "dumpLevel": 32}, "dumpLevel = 32: ", id="dump-level"),
        pytest.param({"instanceId": "i-0123456789abcdef0", "sizeGib": 70_000}, "sizeGib = 70000: ", id="size"),
        pytest.param(
            {"instanceId": "i-0123456789abcdef0", "panicSysctls": {"panic_on_fire": 1}},
            "panicSysctls.panic_on_fire = 1: no such key",
            id="sysctl",
        ),
        pytest.param(
            {"instanceId": "i-0123456789abcdef0", "panicSysctls": {"kernel_panic": 10_000}},
            "panicSysctls.kernel_panic = 10000: ",
            id="sysctl-value",
        ),
    ],
)
@pytest.mark.usefixtures("account")
def test_a_wrong_input_names_field_value_and_what_is_allowed(context: Any, given: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        plan_dump_volume.handler({"input": given, "executionId": EXECUTION, "startTime": ""}, context)
    assert said in str(raised.value)


def test_all_problems_of_an_input_are_told_at_once(account: Account, context: Any) -> None:
    with pytest.raises(InvalidInput) as raised:
        plan(context, "i-1", dumpLevel=99, finalAction="halt")
    for field in ("instanceId", "dumpLevel", "finalAction"):
        assert field in str(raised.value)
    assert account.calls == []
