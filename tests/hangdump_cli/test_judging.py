"""The pure parts: readiness, plan, quotas and layout."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hangdump_cli import plan as planning
from hangdump_cli.advice import by_command
from hangdump_cli.executions import Ended, LastExecutions, Run
from hangdump_cli.incidents import GOOD_VERDICTS, REFUSALS, parse
from hangdump_cli.instances import Checks, Instance, InstanceType, Volume
from hangdump_cli.output import _plain
from hangdump_cli.preview import depends_on_console, obstacles, why_stale
from hangdump_cli.quotas import Quota, _is_of_alarms
from hangdump_cli.readiness import Judge, Readiness, outcome
from hangdump_cli.text import Advice, Fields, Table, ago, lay_out, moment_of, short_name
from lambdas.incident.record import SAFE_VERDICTS, Verdict
from lambdas.runtime import refusal_advice
from lambdas.runtime.errors import HangdumpError
from lambdas.runtime.stack_parameter import StackSettings

NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
SETTINGS = StackSettings(
    dry_run=False,
    allow_reboot=False,
    dump_volume="attached",
    dump_volume_sizing="memory",
    dump_level=31,
    dump_size_factor=2.0,
    minimum_dump_volume_gib=8,
    boot_grace_seconds=300,
    ready_max_age_days=30,
    ready_across_boots=False,
    profiles={"database": {"sizeGib": 40}, "thin": {"dumpSizeFactor": 1.5}},
)
M5 = InstanceType("nitro", ("x86_64",), 8192)


def instance(**changed: Any) -> Instance:
    plain: dict[str, Any] = {
        "instance_id": "i-0123456789abcdef0",
        "state": "running",
        "instance_type": "m5.large",
        "zone": "eu-central-1a",
        "launched_at": NOW - timedelta(days=60),
        "tags": {"hangdump:enrolled": "true"},
        "ping": "Online",
    }
    return Instance(**plain | changed)


def ended(**changed: Any) -> Ended:
    plain: dict[str, Any] = {"arn": "arn:x", "status": "FAILED", "started_at": NOW, "given": {}, "output": {}}
    return Ended(**plain | changed)


INSTANCE = "i-0123456789abcdef0"
READY = {"hangdump:enrolled": "true", "hangdump:ready": "2026-11-30T02:00:00Z"}


def judge(
    seen: Instance,
    provisioning: Ended | None = None,
    *,
    alarms: Sequence[str] = (f"hangdump-{INSTANCE}",),
    collections: dict[str, Run] | None = None,
) -> Readiness:
    found = LastExecutions({seen.instance_id: provisioning} if provisioning else {})
    return Judge(settings=SETTINGS, now=NOW, alarms=alarms, collections=collections or {}).judge(seen, found)


@pytest.mark.parametrize(
    ("changed", "provisioning", "code"),
    [
        ({"tags": {}}, None, "not-enrolled"),
        ({"tags": {"hangdump:enrolled": "yes"}}, None, "not-enrolled"),
        ({"tags": READY}, None, "ready"),
        ({"tags": READY, "state": "stopped"}, None, "not-running"),
        ({"tags": {**READY, "hangdump:disarmed": "x"}}, None, "disarmed"),
        ({"tags": {**READY, "hangdump:ready": "soon"}}, None, "never-provisioned"),
        ({}, ended(status="RUNNING"), "provisioning"),
        ({}, ended(error="PackageUnavailable", cause="No kdump-tools."), "PackageUnavailable"),
        ({}, ended(status="TIMED_OUT"), "TIMED_OUT"),
        ({}, ended(status="SUCCEEDED", output={"status": "reboot-required"}), "reboot-required"),
        ({}, ended(status="SUCCEEDED", output={"status": "ready"}), "no-longer-ready"),
        ({"ping": "ConnectionLost"}, ended(error="KdumpNotReady"), "agent-not-online"),
        ({}, None, "never-provisioned"),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)
def test_the_first_reason_is_given_and_every_reason_has_a_next_step(
    changed: dict[str, Any], provisioning: Ended | None, code: str
) -> None:
    found = judge(instance(**changed), provisioning)
    assert found.code == code
    assert bool(found.next_step) is not found.is_ready


@pytest.mark.parametrize(
    ("ready", "launched", "config", "code"),
    [
        ("2026-11-30T02:00:00Z", "2026-10-01T00:00:00Z", "", "ready"),
        ("2026-10-30T02:00:00Z", "2026-10-01T00:00:00Z", "", "ready-stale"),
        ("2026-11-30T04:00:00Z", "2026-10-01T00:00:00Z", "", "ready-stale"),
        ("2026-11-30T02:00:00Z", "2026-11-30T02:30:00Z", "", "ready-stale"),
        ("2026-11-30T02:00:00Z", "2026-11-30T02:30:00Z", "4711", "ready"),
    ],
    ids=["fresh", "too-old", "in-the-future", "started-since", "started-since-with-a-proof-on-the-console"],
)
def test_a_mark_counts_as_long_as_it_counts_for_the_gate(ready: str, launched: str, config: str, code: str) -> None:
    tags = {
        "hangdump:enrolled": "true",
        "hangdump:ready": ready,
        **({"hangdump:ready-config": config} if config else {}),
    }
    found = judge(instance(tags=tags, launched_at=datetime.fromisoformat(launched)))
    assert found.code == code
    assert ("console" in found.words) is bool(config)


def test_an_instance_without_its_alarm_is_not_ready() -> None:
    found = judge(instance(tags=READY), alarms=())
    assert (found.code, "hangdump-i-0123456789abcdef0 is missing" in found.words) == ("no-alarm", True)


def test_an_instance_whose_dump_is_collected_is_not_ready_for_another() -> None:
    found = judge(instance(tags=READY, state="stopped"), collections={INSTANCE: Run("arn:x", NOW)})
    assert (found.code, found.words) == ("being-collected", "being collected since 2026-11-30 03:00 UTC")


def test_a_search_that_ended_early_does_not_say_never() -> None:
    seen = Judge(settings=SETTINGS, now=NOW, alarms=(), collections={}).judge
    assert seen(instance(), LastExecutions({}, is_complete=False)).code == "provisioning-unknown"


@pytest.mark.parametrize(
    ("state", "advice"), [("stopped", "Start it."), ("shutting-down", "Nothing"), ("pending", "Wait")]
)
def test_only_a_stopped_instance_is_to_be_started(state: str, advice: str) -> None:
    assert judge(instance(tags=READY, state=state)).next_step.startswith(advice)


def test_an_execution_is_judged_by_its_own_outcome() -> None:
    for status in ("ready", "reboot-required"):
        assert outcome(ended(status="SUCCEEDED", output={"status": status}), INSTANCE).code == status
    assert outcome(ended(error="KdumpNotReady"), INSTANCE).code == "KdumpNotReady"


def test_a_start_since_the_mark_is_no_definite_refusal_when_the_console_may_prove_the_boot() -> None:
    started = NOW - timedelta(minutes=30)
    for config, reasons in (("", ["ready-stale"]), ("4711", [])):
        marked = instance(tags=READY | ({"hangdump:ready-config": config} if config else {}), launched_at=started)
        assert [each.reason for each in _refused(marked)] == reasons
        assert depends_on_console(marked, SETTINGS) is bool(config)
        assert bool(why_stale(marked, SETTINGS, NOW)) is not bool(config)


def test_a_collection_that_runs_is_an_open_incident() -> None:
    (found,) = _refused(instance(tags=READY), Run("arn:x", NOW))
    assert (found.reason, "since 2026-11-30T03:00:00Z: arn:x" in found.detail) == ("incident-open", True)


def _refused(seen: Instance, collection: Run | None = None) -> list[Any]:
    checks = Checks("ok", "ok", "ok")
    return obstacles(seen, M5, checks, settings=SETTINGS, interrupts="on", now=NOW, collection=collection)


def test_times_are_utc_whatever_the_zone_of_the_machine() -> None:
    # As botocore gives them: in the zone of the machine.
    local = NOW.astimezone(timezone(timedelta(hours=10)))
    assert moment_of(local) == "2026-11-30 03:00 UTC"
    assert _plain(local) == "2026-11-30T03:00:00Z"


def test_advice_names_the_command_where_there_is_one() -> None:
    texts = [*refusal_advice._NEXT_STEP.values(), *(each.next_step for each in HangdumpError.__subclasses__())]
    for text in texts:
        told = by_command(text, INSTANCE)
        for words in ("un ProvisionDumpVolume", "interrupt: true", "the parameter to on", "tag it hangdump:enrolled"):
            assert words not in told


def test_findings_are_read_out_of_the_cause_and_nonsense_is_none() -> None:
    cause = 'i-1 is not ready for a crash dump: [{"code":"reboot-pending","severity":"error"}]. Follow each remedy.'
    (finding,) = ended(cause=cause).findings
    assert (finding.code, finding.remedy) == ("reboot-pending", "")
    for other in ("", "no list", "[", "][", "[1, 2", '{"a": [1]}'):
        assert ended(cause=other).findings == ()


def test_a_new_volume_is_as_large_as_the_stack_will_make_it() -> None:
    found = planning.enrol(instance(), M5, [], settings=SETTINGS, is_reboot_wanted=False)
    assert (found.new_gib, round(found.monthly_usd, 2)) == (16, 1.38)
    measured = replace(SETTINGS, dump_volume_sizing="measured")
    least = planning.enrol(instance(), M5, [], settings=measured, is_reboot_wanted=False)
    assert least.volume == "new, 8 GiB or more, as measured"
    kept = planning.enrol(
        instance(tags=READY),
        M5,
        [Volume("vol-1", 16, "in-use", "i-0123456789abcdef0")],
        settings=SETTINGS,
        is_reboot_wanted=False,
    )
    assert (kept.volume, kept.monthly_usd, kept.reboot) == ("keeps vol-1 (16 GiB)", 0.0, "none")


def test_a_volume_that_is_to_be_parked_costs_next_to_nothing_and_one_that_is_parked_stays() -> None:
    def plan(*volumes: Volume, **given: Any) -> planning.Enrolment:
        return planning.enrol(instance(), M5, volumes, settings=SETTINGS, is_reboot_wanted=False, **given)

    parked = Volume("snap-1", 16, "parked")
    new = plan(dump_volume="parked")
    assert (new.volume, round(new.monthly_usd, 2)) == ("new, 16 GiB, then parked", 0.11)
    stays = plan(parked, dump_volume="parked")
    assert (stays.volume, round(stays.monthly_usd, 2)) == ("keeps snap-1 (16 GiB, parked)", 0.10)
    attached = plan(parked)
    assert (attached.volume, attached.obstacle) == ("new, 16 GiB", "")
    mine = Volume("vol-1", 16, "in-use", "i-0123456789abcdef0")
    assert plan(mine, dump_volume="parked").volume == "keeps vol-1 (16 GiB), then parked"


def test_a_profile_changes_the_size_and_one_that_does_not_exist_is_refused() -> None:
    found = {
        name: planning.enrol(
            instance(tags={"hangdump:profile": name}), M5, [], settings=SETTINGS, is_reboot_wanted=False
        )
        for name in ("database", "thin", "databse")
    }
    assert [each.new_gib for each in found.values()] == [40, 12, 0]
    attached = Volume("vol-1", 16, "in-use", "i-0123456789abcdef0")
    tags = {"hangdump:profile": "database"}
    kept = planning.enrol(instance(tags=tags), M5, [attached], settings=SETTINGS, is_reboot_wanted=False)
    assert kept.kept == attached
    assert (found["databse"].obstacle, found["thin"].obstacle) == ("InvalidInput", "")
    assert "one of database, thin" in found["databse"].next_step


def test_a_mark_does_not_promise_that_an_allowed_reboot_is_not_needed() -> None:
    for tags, reboot in ((READY, "none, if nothing changed; else one"), ({}, "one, if kdump needs memory")):
        found = planning.enrol(instance(tags=tags), M5, [], settings=SETTINGS, is_reboot_wanted=True)
        assert found.reboot == reboot


@pytest.mark.parametrize(
    ("volumes", "obstacle", "volume"),
    [
        ([{"size_gib": 8, "attached_to": INSTANCE}], "DumpVolumeUnfit", "none"),
        ([{"is_encrypted": False, "attached_to": INSTANCE}], "DumpVolumeUnfit", "none"),
        ([{"zone": "eu-central-1b"}], "DumpVolumeElsewhere", "none"),
        ([{"attached_to": "i-0fedcba9876543210", "state": "in-use"}], "DumpVolumeElsewhere", "none"),
        ([{"attached_to": INSTANCE, "state": "in-use", "is_leaving": True}], "DumpVolumeElsewhere", "none"),
        ([{}, {}], "SeveralDumpVolumes", "none"),
        ([{}], "", "keeps vol-1 (16 GiB, available)"),
        ([{"size_gib": 8}], "", "new, 16 GiB"),
        ([{"state": "error"}], "", "new, 16 GiB"),
    ],
)
def test_a_plan_takes_the_volume_that_provisioning_would_take_or_names_its_refusal(
    volumes: list[dict[str, Any]], obstacle: str, volume: str
) -> None:
    plain = {"volume_id": "vol-1", "size_gib": 16, "state": "available", "zone": "eu-central-1a"}
    given = [Volume(**{**plain, **each}) for each in volumes]
    found = planning.enrol(instance(), M5, given, settings=SETTINGS, is_reboot_wanted=False)
    assert (found.obstacle, found.volume) == (obstacle, volume)


def test_a_quota_that_is_guessed_only_warns() -> None:
    enrolment = planning.enrol(instance(), M5, [], settings=SETTINGS, is_reboot_wanted=False)
    guessed = Quota("CloudWatch alarms", 5000, 5000, is_certain=False)
    assert planning.plan([enrolment], {"alarms": guessed, "gp3": Quota("TiB", 0, None)}).is_possible


@pytest.mark.parametrize(
    ("changed", "kind", "obstacle"),
    [
        ({"state": "stopped"}, M5, "InstanceNotRunning"),
        ({"is_windows": True}, M5, "UnsupportedPlatform"),
        ({}, InstanceType("xen", ("x86_64",), 8192), "UnsupportedHypervisor"),
        ({}, InstanceType("nitro", ("i386",), 8192), "UnsupportedArchitecture"),
        ({}, InstanceType("nitro", ("x86_64",), 512), "InsufficientMemory"),
        ({"ping": ""}, M5, "InstanceNotManaged"),
    ],
)
def test_what_provisioning_would_refuse_costs_nothing_and_has_advice(
    changed: dict[str, Any], kind: InstanceType, obstacle: str
) -> None:
    found = planning.enrol(instance(**changed), kind, [], settings=SETTINGS, is_reboot_wanted=True)
    assert (found.obstacle, found.monthly_usd, found.volume) == (obstacle, 0.0, "none")
    assert found.next_step


def test_a_quota_stops_a_plan_only_when_it_is_known_and_too_small() -> None:
    enrolment = planning.enrol(instance(), M5, [], settings=SETTINGS, is_reboot_wanted=False)
    for limit, is_possible in ((50.0, True), (None, True), (0.01, False)):
        quotas = {"gp3": Quota("TiB of gp3 volumes", 0.0, limit), "alarms": Quota("CloudWatch alarms", 3, 5000)}
        assert planning.plan([enrolment], quotas).is_possible is is_possible


@pytest.mark.parametrize(
    ("name", "is_wanted"),
    [("Number of alarms", True), ("Metric alarms", True), ("Number of Alarm Mute Rules", False), ("Dashboards", False)],
)
def test_the_quota_of_alarms_is_known_by_its_name(name: str, is_wanted: bool) -> None:
    assert _is_of_alarms({"QuotaName": name}) is is_wanted


def test_the_verdicts_are_those_of_the_record() -> None:
    assert set(GOOD_VERDICTS) == {each.value for each in SAFE_VERDICTS}
    assert set(REFUSALS) == {Verdict.REFUSED.value, Verdict.UNSUPPORTED.value}


def test_a_record_with_fields_of_another_version_is_read_as_far_as_it_goes() -> None:
    item = {
        "incidentId": {"S": "x"},
        "openedAt": {"S": "not a time"},
        "verdict": {"NULL": True},
        "keys": {"M": {"vmcore": {"S": "vmcores/x"}}},
        "timeline": {"L": [{"M": {"at": {"S": "2026-11-30T03:00:00Z"}, "event": {"S": "alarm"}}}]},
        "interruptedEpoch": {"N": "1795406400"},
        "share": {"N": "0.5"},
        "isNew": {"BOOL": True},
    }
    found = parse(item)
    assert (found.incident_id, found.opened_at, found.verdict) == ("x", None, "")
    assert found.timeline == ({"at": "2026-11-30T03:00:00Z", "event": "alarm"},)


def test_a_name_with_control_characters_stays_in_its_cell() -> None:
    lines = lay_out([Table(("NAME", "READY"), [("db\n1\x1b[31m", "ready"), ("web", "not ready")])])
    assert len(lines) == 3
    assert "\x1b" not in "".join(lines)
    # Both rows have the second column at one place.
    assert lines[1].index("ready") == lines[2].index("not ready")


def test_words_of_a_host_cannot_forge_a_line_wherever_they_stand() -> None:
    lines = lay_out([Fields({"hangdump:a\nReady": "x"}), "done\x1b[2J\u202e"])
    assert lines == ["hangdump:a Ready  x", "done\\x1b[2J\\u202e"]
    assert len(short_name("x" * 256)) == 40


def test_fields_without_a_value_and_tables_without_rows_take_no_room() -> None:
    assert lay_out([Fields({"A": "", "Bee": 1}), Table(("X",), [], empty="none")]) == ["Bee  1", "none"]


def test_advice_stands_below_what_it_is_about() -> None:
    lines = lay_out([Advice([("error reboot-pending", "0\n1", "reboot"), ("note old-agent", "3.1", "")])])
    assert lines == ["  error reboot-pending: 0 1", "    Next: reboot", "  note old-agent: 3.1"]


def test_a_time_in_the_future_is_now() -> None:
    assert ago(datetime(2026, 11, 30, 4, 0, tzinfo=UTC), NOW) == "< 1 s ago"
