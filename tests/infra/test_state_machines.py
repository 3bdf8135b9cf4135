"""The rules that every synthesized state machine keeps, whatever its steps are."""

import base64
import re
from typing import Any

import pytest

from infra.collect.parked_volume import ATTEMPTS
from infra.upload.states import UPLOAD_ROUNDS
from tests.infra.template import MACHINES, Machine, Template, followers

THE_INTERRUPT = "Send diagnostic interrupt"
THE_END = "Conclude incident"
# An execution's history ends at 25,000 events; entering, calling and leaving a Task are 5, any other state 2.
HISTORY_LIMIT = 25_000


def _counters(machine: Machine) -> dict[str, dict[str, Any]]:
    """The states that count a loop's rounds: a Choice whose default goes round again, or a Pass before that."""
    return {
        name: state
        for name, state in machine.states.items()
        if "States.MathAdd" in str(state.get("Assign", state.get("Parameters")))
    }


def _rounds(machine: Machine, counter: str) -> int:
    """How often at most the loop of a counter begins."""
    if counter.startswith("Upload vmcore"):
        return UPLOAD_ROUNDS
    is_brought = machine.name == "CollectVmcore" and counter.startswith(("Wait for dump volume", "Wait for attachment"))
    return ATTEMPTS if is_brought else 1


def _limit(machine: Machine, counter: str) -> int:
    """At which count a loop ends."""
    choice = machine.states[counter]
    counted = r"\$polls"
    if choice["Type"] == "Pass":
        counted = re.escape(choice["ResultPath"]) + r"\..*"
        (choice,) = [state for state in machine.states.values() if counter in followers(state)]
        assert choice["Default"] == counter
    assert choice["Type"] == "Choice"
    (limit,) = [
        rule["NumericGreaterThanEquals"]
        for rule in choice["Choices"]
        if re.fullmatch(counted, rule.get("Variable", "")) and "NumericGreaterThanEquals" in rule
    ]
    return int(limit)


def test_the_machine_and_every_task_have_a_timeout(machine: Machine) -> None:
    assert machine.definition["TimeoutSeconds"] > 0
    assert [name for name, state in machine.tasks().items() if state.get("TimeoutSeconds", 0) <= 0] == []


def test_every_task_but_the_interrupt_is_retried_on_named_errors(machine: Machine) -> None:
    for name, state in machine.tasks().items():
        if name == THE_INTERRUPT:
            continue
        errors = [error for retrier in state["Retry"] for error in retrier["ErrorEquals"]]
        assert errors, name
        if name == THE_END:
            continue
        assert not any(error.startswith("States.") for error in errors), name


def test_every_retry_outlasts_a_throttle_of_two_minutes_in_the_mean_and_ends_within_six(machine: Machine) -> None:
    for name, state in machine.tasks().items():
        for retrier in state.get("Retry", []):
            if "Sandbox.Timedout" in retrier["ErrorEquals"]:
                # No throttle: what killed a function may do so again.
                assert retrier["MaxAttempts"] == 2
                continue
            waits = [
                min(retrier["IntervalSeconds"] * retrier["BackoffRate"] ** attempt, retrier["MaxDelaySeconds"])
                for attempt in range(retrier["MaxAttempts"])
            ]
            # FULL jitter: half of each wait in the mean.
            assert retrier["JitterStrategy"] == "FULL", name
            assert sum(waits) / 2 > 120, name
            assert sum(waits) < 360, name


def test_the_interrupt_is_never_retried_and_says_why(template: Template) -> None:
    state = template.machine("CollectVmcore").states[THE_INTERRUPT]
    assert "Retry" not in state
    assert "second NMI" in state["Comment"]


def test_the_conclusion_is_retried_on_every_error_and_then_made_without_its_function(template: Template) -> None:
    machine = template.machine("CollectVmcore")
    (retrier,) = machine.states[THE_END]["Retry"]
    assert retrier["ErrorEquals"] == ["States.ALL"]
    (catch,) = machine.states[THE_END]["Catch"]
    for kept in ("Record the verdict", "Tell the verdict", "Count the verdict"):
        states = {**machine.states, kept: {"Type": "Cut"}}
        reached = Machine(machine.name, {"States": states}).reachable_from(catch["Next"])
        assert {states[name]["Type"] for name in reached} & {"Succeed", "Fail"} == set(), kept


def test_an_empty_cause_is_explained_as_a_missing_one(machine: Machine) -> None:
    if machine.is_child:
        # It ends nothing with an error: note_provisioning reads what there is of a cause.
        assert "Fail" not in {state["Type"] for state in machine.states.values()}
        return
    (explain,) = [state for name, state in machine.states.items() if name.startswith("Explain ")]
    (rule,) = [each for each in explain["Choices"] if each["Next"].startswith("Say that no cause was given")]
    present = rule["Not"]["And"]
    assert {"Not": {"Variable": "$.failure.Cause", "StringEquals": ""}} in present


def test_no_execution_can_come_to_the_interrupt_twice(template: Template) -> None:
    machine = template.machine("CollectVmcore")
    assert THE_INTERRUPT not in machine.reachable_from(*followers(machine.states[THE_INTERRUPT]))


def test_no_execution_starts_an_instance_twice_nor_anything_but_after_a_look(template: Template) -> None:
    machine = template.machine("CollectVmcore")
    starting = {name for name, state in machine.tasks().items() if state["Resource"].endswith("startInstances")}
    assert starting == {"Start instance again"}
    assert machine.reachable_from(*followers(machine.states["Start instance again"])) & starting == set()
    leading = {name for name, state in machine.states.items() if starting & set(followers(state))}
    assert leading == {"Watch the dump (is it over?)"}


def test_only_the_interrupt_state_calls_the_function_that_interrupts(template: Template) -> None:
    function = template.machine("CollectVmcore").states[THE_INTERRUPT]["Resource"]
    callers = [
        name
        for machine in MACHINES
        for name, state in template.machine(machine).tasks().items()
        if state["Resource"] == function or "iagnosticInterrupt" in state["Resource"]
    ]
    assert callers == [THE_INTERRUPT]


def test_every_task_catches_whatever_is_left(machine: Machine) -> None:
    for name, state in machine.tasks().items():
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
        # Not "$": what is known so far is needed to clean up and to report.
        assert all(catch["ResultPath"] not in ("$", None) for catch in state["Catch"]), name


def test_every_target_exists_and_every_state_is_reached(machine: Machine) -> None:
    targets = {target for state in machine.states.values() for target in followers(state)}
    assert targets - set(machine.states) == set()
    assert set(machine.states) - machine.reachable_from(machine.definition["StartAt"]) == set()


def test_nothing_ends_but_in_succeed_or_fail(machine: Machine) -> None:
    ends = {state["Type"] for state in machine.states.values() if not followers(state)}
    # A child says in the row of its instance what went wrong.
    assert ends == ({"Succeed"} if machine.is_child else {"Succeed", "Fail"})
    assert [name for name, state in machine.states.items() if state.get("End")] == []


def test_a_failed_provisioning_never_ends_in_succeed(template: Template) -> None:
    machine = template.machine("ProvisionDumpVolume")
    caught = {
        catch["Next"]
        for name, state in machine.tasks().items()
        for catch in state["Catch"]
        # The instance is as it is, whether the fleet table says so or not; what EC2 shows as deleted is deleted; and
        # where a parked volume is lost, it goes on with another one.
        if catch["ErrorEquals"] == ["States.ALL"]
        and name
        not in (
            *("Note the outcome", "Delete the parked volume", "Delete former snapshot"),
            "Take the mark from what is not ready",
        )
    }
    ends = {machine.states[name]["Type"] for name in machine.reachable_from(*caught)}
    assert "Succeed" not in ends
    assert "Fail" in ends


@pytest.mark.parametrize(
    ("name", "verdicts"), [("CollectVmcore", {"captured", "rescued"}), ("RescueVmcore", {"rescued", "no-panic"})]
)
def test_a_collection_succeeds_only_with_a_vmcore_in_the_bucket_or_when_a_rescue_saw_that_there_is_none(
    template: Template, name: str, verdicts: set[str]
) -> None:
    machine = template.machine(name)
    succeeding = {name for name, state in machine.states.items() if state["Type"] == "Succeed"}
    leading = {name: state for name, state in machine.states.items() if succeeding & set(followers(state))}
    ((_, choice),) = leading.items()
    assert {rule["Variable"] for rule in choice["Choices"]} == {"$.conclusion.verdict"}
    assert {rule["StringEquals"] for rule in choice["Choices"]} == verdicts
    assert {rule["Next"] for rule in choice["Choices"]} == succeeding
    assert machine.states[choice["Default"]]["Type"] == "Fail"


@pytest.mark.parametrize("name", ["CollectVmcore", "RescueVmcore"])
def test_every_way_through_a_collection_is_concluded(template: Template, name: str) -> None:
    machine = template.machine(name)
    without = {name: state for name, state in machine.states.items() if name != "Conclude incident"}
    cut = Machine(machine.name, {"States": {**without, "Conclude incident": {"Type": "Cut"}}})
    reached = cut.reachable_from(machine.definition["StartAt"])
    assert {cut.states[name]["Type"] for name in reached} & {"Succeed", "Fail"} == set()


@pytest.mark.parametrize("name", ["RescueVmcore", "AnalyzeVmcore"])
def test_every_way_from_a_launch_removes_what_was_made(template: Template, name: str) -> None:
    machine = template.machine(name)
    (launch,) = [each for each, state in machine.tasks().items() if state["Resource"].endswith(":runInstances")]
    # In AnalyzeVmcore what follows depends on the plan, which no state takes away again.
    states = dict(machine.states)
    if "Was a twin planned?" in states:
        (planned,) = states["Was a twin planned?"]["Choices"]
        assert (planned["Variable"], planned["IsPresent"], planned["Next"]) == ("$.plan", True, "Begin to remove")
        assert states["Plan twin"]["ResultPath"] == "$.plan"
        assert [each for each, state in states.items() if state.get("ResultPath") == "$"] == ["Note the request"]
        states["Was a twin planned?"] = {"Type": "Pass", "Next": "Begin to remove"}
    cut = Machine(machine.name, {"States": {**states, "Begin to remove": {"Type": "Cut"}}})
    reached = cut.reachable_from(launch)
    assert {cut.states[name]["Type"] for name in reached} & {"Succeed", "Fail"} == set()


def test_every_way_through_a_rescue_removes_what_it_made(template: Template) -> None:
    machine = template.machine("RescueVmcore")
    cut = Machine(machine.name, {"States": {**machine.states, "Begin to remove": {"Type": "Cut"}}})
    reached = cut.reachable_from(machine.definition["StartAt"])
    assert "Conclude incident" not in reached
    assert {cut.states[name]["Type"] for name in reached} & {"Succeed", "Fail"} == set()


def test_a_rescue_does_nothing_to_the_dump_volume_but_copy_it(template: Template) -> None:
    machine = template.machine("RescueVmcore")
    calls = {
        state["Resource"].rsplit(":", 1)[1] for state in machine.tasks().values() if "aws-sdk" in state["Resource"]
    }
    looks = {"describeSnapshots", "describeInstances", "describeVolumes"}
    looks |= {"describeInstanceInformation", "getCommandInvocation"}
    verdict = {"updateItem", "publish", "putMetricData"}
    assert calls - looks - verdict == {"createSnapshot", "runInstances", "sendCommand"}
    targets = {
        str(state["Parameters"]["InstanceIds.$"])
        for state in machine.tasks().values()
        if state["Resource"].endswith(":sendCommand")
    }
    assert targets == {"States.Array($.collector.instanceId)"}


@pytest.mark.parametrize(("name", "state"), [("RescueVmcore", "Launch collector"), ("AnalyzeVmcore", "Launch twin")])
def test_a_short_lived_instance_cannot_outlive_its_job_unseen(template: Template, name: str, state: str) -> None:
    launch = template.machine(name).states[state]["Parameters"]
    assert launch["InstanceInitiatedShutdownBehavior"] == "terminate"
    # Nothing else: no user data of the hung instance.
    assert re.fullmatch(rb"#!/bin/sh\nshutdown -P \+\d+\n", base64.b64decode(launch["UserData"]))
    # Of a twin, plan_twin says so.
    assert all(each["Ebs"]["DeleteOnTermination"] is True for each in launch.get("BlockDeviceMappings", []))
    assert launch["MetadataOptions"]["HttpTokens"] == "required"


def test_a_vmcore_is_analysed_only_where_the_plan_admits_it(template: Template) -> None:
    machine = template.machine("AnalyzeVmcore")
    sending = [state for state in machine.tasks().values() if state["Resource"].endswith(":sendCommand")]
    assert [state["Parameters"]["InstanceIds.$"] for state in sending] == [
        "States.Array($.analysis.analysisInstanceId)"
    ]
    cut = Machine(machine.name, {"States": {**machine.states, "Plan analysis": {"Type": "Cut"}}})
    assert "Analyze vmcore" not in cut.reachable_from(machine.definition["StartAt"])


def test_every_way_to_a_conclusion_brings_the_instance_back_first(template: Template) -> None:
    machine = template.machine("CollectVmcore")
    leading = {name for name, state in machine.states.items() if "Conclude incident" in followers(state)}
    assert leading == {"Return from standby"}
    assert set(followers(machine.states["Return from standby"])) == {"Conclude incident"}


def test_every_loop_is_counted(machine: Machine) -> None:
    """Without the counters there is no cycle, so no way round avoids one."""
    counters = _counters(machine)
    assert counters
    states = {name: state for name, state in machine.states.items() if name not in counters}
    remaining = dict(states)
    while remaining:
        ends = [name for name, state in remaining.items() if not set(followers(state)) & set(remaining)]
        assert ends, f"a loop without counter among {sorted(remaining)}"
        remaining = {name: state for name, state in remaining.items() if name not in ends}


def test_every_counter_has_a_limit(machine: Machine) -> None:
    for counter in _counters(machine):
        assert 0 < _limit(machine, counter) < 500, counter


def test_every_variable_is_assigned_before_the_state_that_reads_it(machine: Machine) -> None:
    reads = {name: set(re.findall(r"(?<!\$)\$([a-z]\w*)", str(state))) for name, state in machine.states.items()}
    assert any(reads.values()) == any("Assign" in state for state in machine.states.values())
    for name, variables in reads.items():
        for variable in variables:
            assigning = {each for each, state in machine.states.items() if variable in state.get("Assign", {})}
            cut = {**machine.states, **{each: {"Type": "Cut"} for each in assigning}}
            reached = Machine(machine.name, {"States": cut}).reachable_from(machine.definition["StartAt"])
            assert name not in reached, f"{name} can be reached before ${variable} is assigned"


def test_the_longest_execution_fits_into_its_history(machine: Machine) -> None:
    events = 5 * len(machine.states)
    for counter in _counters(machine):
        # Wait 2, Task 5, Choice 2
        events += 9 * (_limit(machine, counter) + 1) * _rounds(machine, counter)
    for state in machine.tasks().values():
        # A failed attempt is 3. One whole Retry of each Task, and of each poll in a loop that goes on after errors.
        attempts = sum(retrier["MaxAttempts"] for retrier in state.get("Retry", []))
        looping = [_limit(machine, catch["Next"]) for catch in state["Catch"] if catch["Next"] in _counters(machine)]
        events += 3 * attempts * (1 + sum(looping))
    assert events < HISTORY_LIMIT


def test_the_loops_end_before_the_machine_does(machine: Machine) -> None:
    waits = 0
    for counter, state in _counters(machine).items():
        growth = re.search(r"waitSeconds, (\d+)\)", str(state.get("Assign")))
        if growth is None:
            # Rounds with a wait that does not grow.
            fixed = [each["Seconds"] for each in machine.states.values() if "Seconds" in each]
            waits += _limit(machine, counter) * sum(fixed)
            continue
        looks = _limit(machine, counter)
        start = counter.replace("(is it over?)", "(start waiting)")
        first = machine.states[start]["Assign"]["waitSeconds"]
        waits += _rounds(machine, counter) * (first * looks + int(growth[1]) * looks * (looks - 1) // 2)
    assert waits
    assert waits < machine.definition["TimeoutSeconds"]


def test_state_names_are_sentences_that_fit(machine: Machine) -> None:
    for name in machine.states:
        assert len(name) <= 80
        assert re.match(r"^[A-Z][a-z]+( |$)", name), name


def test_nothing_but_the_documented_states_deletes_or_detaches_a_volume(template: Template) -> None:
    machine = template.machine("ProvisionDumpVolume")
    risky = {
        name for name, state in machine.tasks().items() if state["Resource"].endswith(("deleteVolume", "detachVolume"))
    }
    assert risky == {
        *("Remove unused dump volume", "Detach unused dump volume"),
        *("Delete the parked volume", "Detach the parked volume"),
    }
    gate = "Is there an unused dump volume?"
    # The host has seen that a volume is empty before it says that it is parked.
    without_gates = {**machine.states, gate: {"Type": "Cut"}, "Park dump volume (read result)": {"Type": "Cut"}}
    reached = Machine(machine.name, {"States": without_gates}).reachable_from(machine.definition["StartAt"])
    assert reached & risky == set()
    (rule,) = machine.states[gate]["Choices"]
    assert {"Variable": "$.volume.removeOnFailure", "BooleanEquals": True} in rule["And"]


def test_a_volume_of_a_retired_instance_is_deleted_only_when_the_host_saw_that_it_is_empty(template: Template) -> None:
    machine = template.machine("RetireInstance")
    deleting = {name for name, state in machine.tasks().items() if state["Resource"].endswith("deleteVolume")}
    assert deleting == {"Delete empty dump volume"}
    gate = "Did the host see that it is empty?"
    for cut in (gate, "Unconfigure kdump (read result)", "Plan retirement"):
        states = {**machine.states, cut: {"Type": "Cut"}}
        reached = Machine(machine.name, {"States": states}).reachable_from(machine.definition["StartAt"])
        assert reached & deleting == set(), cut
    (rule,) = machine.states[gate]["Choices"]
    assert (rule["Variable"], rule["BooleanEquals"], rule["Next"]) == ("$.host.volumeEmpty", True, *deleting)
    assert set(followers(machine.states[gate])) == {*deleting, "Keep the dump volume"}


def test_a_retirement_takes_the_alarm_first_and_the_opt_in_last(template: Template) -> None:
    """No document runs without the opt-in, and no failure leads to its removal."""
    machine = template.machine("RetireInstance")
    acting = {"Unconfigure kdump", "Detach dump volume", "Delete empty dump volume", "Remove opt-in"}
    states = {**machine.states, "Disarm instance": {"Type": "Cut"}}
    reached = Machine(machine.name, {"States": states}).reachable_from(machine.definition["StartAt"])
    assert reached & acting == set()
    assert machine.reachable_from(*followers(machine.states["Remove opt-in"])) & acting == set()
    caught = {catch["Next"] for state in machine.tasks().values() for catch in state["Catch"]}
    failing = caught - {"Look who holds the lease", "Take over provisioning lease", "Has dump volume disappeared?"}
    assert machine.reachable_from(*failing) & acting == set()


def test_a_volume_that_was_prepared_is_no_longer_removed(template: Template) -> None:
    machine = template.machine("ProvisionDumpVolume")
    keep = machine.states["Prepare dump volume (read result)"]["Next"]
    assert machine.states[keep]["Parameters"]["removeOnFailure"] is False
    assert machine.states["Use the volume found"]["Parameters"]["removeOnFailure"] is False


def test_the_vmcore_is_removed_only_after_it_was_verified(template: Template) -> None:
    machine = template.machine("CollectVmcore")
    states = {**machine.states, "Verify vmcore": {"Type": "Cut"}}
    reached = Machine(machine.name, {"States": states}).reachable_from(machine.definition["StartAt"])
    removing = {
        name
        for name, state in machine.tasks().items()
        if state.get("Parameters", {}).get("Parameters", {}) and "remove" in str(state["Parameters"]["Parameters"])
    }
    assert removing == {"Remove vmcore"}
    assert reached & removing == set()
    # …and not by way of a failed verification.
    failed = {catch["Next"] for catch in machine.states["Verify vmcore"]["Catch"]}
    assert machine.reachable_from(*failed) & removing == set()


def test_a_failed_provisioning_gives_its_lease_back(template: Template) -> None:
    machine = template.machine("ProvisionDumpVolume")
    states = {**machine.states, "Release provisioning lease after failure": {"Type": "Cut"}}
    cut = Machine(machine.name, {"States": states})
    after_lease = cut.reachable_from("Plan dump volume")
    fails = {name for name in after_lease if cut.states[name]["Type"] == "Fail"}
    assert fails == set()


def test_an_error_is_reported_under_its_own_name(machine: Machine) -> None:
    fails = {name: state for name, state in machine.states.items() if state["Type"] == "Fail"}
    named = {name: state.get("Error") for name, state in fails.items() if "ErrorPath" not in state}
    assert set(named.values()) <= {"InvalidInput"}
    assert all("CausePath" in state or state.get("Cause") for state in fails.values())
