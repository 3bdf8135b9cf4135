"""The settings: their defaults, and what a wrong value is answered with."""

from typing import Any

import pytest

from infra.read_settings import SettingsError, load
from infra.settings import Settings


def test_an_empty_object_gives_the_defaults_that_are_safe() -> None:
    settings = load({})
    assert (settings.dump_level, settings.final_action, settings.allow_reboot) == (31, "reboot", False)
    assert (settings.dump_size_factor, settings.minimum_dump_volume_gib) == (2.0, 8)
    assert (settings.fleet_budget, settings.zone_budget, settings.group_budget) == (3, 2, 1)
    assert (settings.boot_grace_seconds, settings.ready_max_age_days, settings.ready_across_boots) == (300, 30, False)
    sysctls = settings.panic_sysctls.model_dump()
    assert {name for name, value in sysctls.items() if value} == {"unknown_nmi_panic", "panic_on_oops"}


def test_a_missing_context_gives_the_defaults() -> None:
    assert load(None) == load({})


def test_functions_learn_which_sysctls_were_chosen() -> None:
    chosen = load({"panicSysctls": {"softlockup_panic": 0, "hung_task_panic": 1}, "dryRun": True}).document_settings()
    assert chosen.model_dump(exclude_unset=True) == {"panic_sysctls": {"softlockup_panic": 0, "hung_task_panic": 1}}


def test_the_settings_may_come_as_json_from_the_command_line() -> None:
    assert load('{"dryRun": true}').dry_run is True


def test_one_sysctl_can_be_set_without_naming_the_others() -> None:
    sysctls = load({"panicSysctls": {"hung_task_panic": 1}}).panic_sysctls
    assert (sysctls.hung_task_panic, sysctls.unknown_nmi_panic) == (1, 1)


WRONG_VALUES: list[tuple[Any, list[str]]] = [
    ({"dumpSizeFactor": 0}, ["hangdump.dumpSizeFactor = 0", "a number from 0.1 to 10"]),
    ({"minimumDumpVolumeGib": 70000}, ["hangdump.minimumDumpVolumeGib = 70000", "a whole number from 1 to 65536"]),
    ({"volumeThroughputMibs": 99}, ["hangdump.volumeThroughputMibs = 99", "from 125 to 2000"]),
    ({"volumeThroughputMibs": 1000}, ["volumeThroughputMibs = 1000", "volumeIops of at least 4000"]),
    ({"dumpVolume": "detached"}, ["hangdump.dumpVolume = 'detached'", 'one of "attached", "parked"']),
    ({"parkedVolumeThroughputMibs": 751}, ["hangdump.parkedVolumeThroughputMibs = 751", "from 125 to 750"]),
    ({"dumpVolume": "parked", "enrolmentsPerMinute": 72}, ["enrolmentsPerMinute = 72", "at most 71"]),
    (
        {"profiles": {"idle": {"dumpVolume": "parked"}}, "enrolmentsPerMinute": 95},
        ["enrolmentsPerMinute = 95", "at most 71"],
    ),
    ({"volumeIops": 80001}, ["hangdump.volumeIops = 80001", "from 3000 to 80000"]),
    ({"volumeIops": 16000}, ["volumeIops = 16000", "minimumDumpVolumeGib of at least 32"]),
    ({"fileSystem": "btrfs"}, ["hangdump.fileSystem = 'btrfs'", 'one of "xfs", "ext4"']),
    ({"mountPoint": "var/crash"}, ["hangdump.mountPoint = 'var/crash'", "text matching"]),
    ({"mountPoint": "/var/crash; reboot"}, ["hangdump.mountPoint", "text matching"]),
    ({"coreCollector": "scp"}, ["hangdump.coreCollector = 'scp'", "text matching"]),
    ({"autoScalingStandby": "always"}, ['one of "required", "preferred", "off"']),
    (
        {"probeTimeoutSeconds": 300},
        ["standbyTimeoutSeconds = 360", "twice the first plus the second may be at most 660"],
    ),
    ({"dumpLevel": 32}, ["hangdump.dumpLevel = 32", "from 0 to 31"]),
    # The second interrupt would hit a dump that is still being written.
    ({"cooldownSeconds": 28799}, ["cooldownSeconds = 28799", "at least dumpLimitSeconds, which is 28800"]),
    # The other instances of a failing zone need a minute and a half to show.
    ({"impairedSeconds": 89}, ["hangdump.impairedSeconds = 89", "a whole number from 90 to 120"]),
    ({"agentPingMinutes": 61}, ["hangdump.agentPingMinutes = 61", "a whole number from 5 to 60"]),
    ({"dumpTimeoutSeconds": 40000}, ["dumpLimitSeconds = 28800", "at least dumpTimeoutSeconds, which is 40000"]),
    ({"finalAction": "halt"}, ["hangdump.finalAction = 'halt'", 'one of "reboot", "poweroff"']),
    ({"hangAlarmPeriodSeconds": 90}, ["hangdump.hangAlarmPeriodSeconds = 90", "one of 60, 300"]),
    ({"fleetBudget": 0}, ["hangdump.fleetBudget = 0", "from 1 to 1000"]),
    ({"zoneBudget": 0}, ["hangdump.zoneBudget = 0", "from 1 to 1000"]),
    ({"groupBudget": 1001}, ["hangdump.groupBudget = 1001", "from 1 to 1000"]),
    ({"bootGraceSeconds": -1}, ["hangdump.bootGraceSeconds = -1", "from 0 to 86400"]),
    ({"readyMaxAgeDays": 0.5}, ["hangdump.readyMaxAgeDays = 0.5", "a whole number"]),
    ({"readyAcrossBoots": 1}, ["hangdump.readyAcrossBoots = 1", "true or false"]),
    ({"maintenanceWindows": "daily 02:00-02:30"}, ["hangdump.maintenanceWindows = 'daily", "a list of text"]),
    ({"maintenanceWindows": [2]}, ["hangdump.maintenanceWindows.0 = 2", "a list of text"]),
    ({"maintenanceWindows": ["noon"]}, ["hangdump.maintenanceWindows = ['noon']", "daily 02:00-02:30"]),
    ({"fleetBudget": "3"}, ["hangdump.fleetBudget = '3'", "a whole number"]),
    ({"dryRun": "no"}, ["hangdump.dryRun = 'no'", "true or false"]),
    ({"logRetentionDays": 91}, ["hangdump.logRetentionDays = 91", "one of 1, 3, 5"]),
    ({"uploadTimeoutSeconds": 90000}, ["hangdump.uploadTimeoutSeconds = 90000", "from 60 to 43200"]),
    ({"notificationEmail": "me"}, ["hangdump.notificationEmail = 'me'", "text matching"]),
    ({"panicSysctls": {"panic_on_oops": 2}}, ["hangdump.panicSysctls.panic_on_oops = 2", "one of 0, 1"]),
    ({"panicSysctls": {"panic_on_oop": 1}}, ["panicSysctls.panic_on_oop = 1", "did you mean panic_on_oops?"]),
    ({"panicSysctls": "all"}, ["hangdump.panicSysctls = 'all'", "an object"]),
    ({"profiles": {"db": {"dumpLevel": 99}}}, ["hangdump.profiles.db.dumpLevel = 99", "from 0 to 31"]),
    ({"profiles": {"db": {"dumplevel": 1}}}, ["hangdump.profiles.db.dumplevel = 1", "did you mean dumpLevel?"]),
    ({"profiles": {"db": {"panicSysctls": {"panic_on_oop": 1}}}}, ["db.panicSysctls.panic_on_oop = 1", "did you mean"]),
    ({"profiles": {"DB": {}}}, ["hangdump.profiles = {'DB': {}}", "the name 'DB' does not match"]),
    ({"profiles": {"panicSysctls": {"dumpLevel": 99}}}, ["profiles.panicSysctls.dumpLevel = 99", "from 0 to 31"]),
    ({"profiles": {"db": {"dumpSizeFactor": 0}}}, ["profiles.db.dumpSizeFactor = 0", "a number above 0, up to 100"]),
    ({"profiles": {f"p{i}": {} for i in range(100)}}, ["hangdump.profiles = ", "allowed are 1500"]),
    ({"profiles": {"db": 17}}, ["hangdump.profiles.db = 17", "an object"]),
    (
        {"profiles": {f"profile-{i}": {"mountPoint": "/var/crash"} for i in range(40)}},
        ["bytes are too many", "allowed are 1500"],
    ),
    ({"fleetbudget": 5}, ["hangdump.fleetbudget = 5", "did you mean fleetBudget?"]),
    ("{", ["hangdump = '{'", "no JSON"]),
    ([], ["hangdump = []", "an object"]),
]


@pytest.mark.parametrize(("given", "said"), WRONG_VALUES, ids=[str(given)[:80] for given, _ in WRONG_VALUES])
def test_a_wrong_value_is_answered_with_the_key_the_value_and_what_is_allowed(given: Any, said: list[str]) -> None:
    with pytest.raises(SettingsError) as refused:
        load(given)
    assert [part for part in said if part not in str(refused.value)] == []


def test_every_wrong_value_is_named_not_only_the_first() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"dumpLevel": 32, "fileSystem": "btrfs"})
    assert "dumpLevel" in str(refused.value)
    assert "fileSystem" in str(refused.value)


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("", True),
        ("https://bucket.vpce-0a1b-s3.s3.eu-west-1.vpce.amazonaws.com", True),
        ("http://10.0.2.100", True),
        ("http://192.168.1.4:9000", True),
        ("http://172.31.0.1", True),
        ("http://172.32.0.1", False),
        ("http://example.com", False),
        ("http://10.0.2.100.example.com", False),
        ("http://8.8.8.8", False),
        ("https://s3.example.com/path", False),
        ("ftp://10.0.2.100", False),
    ],
)
def test_plain_http_is_allowed_to_private_addresses_only(url: str, is_allowed: bool) -> None:
    if is_allowed:
        assert load({"uploadEndpointUrl": url}).upload_endpoint_url == url
    else:
        with pytest.raises(SettingsError):
            load({"uploadEndpointUrl": url})


def test_every_knob_is_documented() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
