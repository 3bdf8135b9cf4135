"""Invariant 5: every end has a verdict and a reason."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.conclude.decide_verdict import Ending, decide_verdict, read_cause, read_ending
from lambdas.incident.record import Incident, State, Verdict
from lambdas.runtime import errors
from lambdas.runtime.errors import HangdumpError

ID = "i-0123456789abcdef0"
CRASHED: dict[str, Any] = {"is_crash_expected": True, "is_crashed": True}


@pytest.mark.parametrize(
    ("ending", "verdict", "said"),
    [
        pytest.param(Ending(is_verified=True, is_opened=True), Verdict.CAPTURED, "complete and identical", id="opened"),
        pytest.param(
            Ending(is_verified=True, error="VmcoreUnreadable", cause="It is cut."),
            Verdict.INCOMPLETE,
            "was not removed. The vmcore does not open as a dump. It is cut.",
            id="verified-but-does-not-open",
        ),
        pytest.param(
            Ending(is_verified=True, error="States.Timeout"),
            Verdict.FAILED,
            "was not removed. Could not check whether it opens: States.Timeout",
            id="verified-but-not-opened",
        ),
        pytest.param(
            Ending(is_verified=True, is_opened=True, error="VmcoreChanged", cause="It has grown."),
            Verdict.CAPTURED,
            "the file on the instance was not removed: VmcoreChanged: It has grown.",
            id="verified-but-not-removed",
        ),
        pytest.param(Ending(verdict="captured"), Verdict.FAILED, "before it had", id="captured-without-proof"),
        pytest.param(
            Ending(verdict="captured", error="UploadFailed", cause="Part 3."),
            Verdict.FAILED,
            "UploadFailed: Part 3.",
            id="captured-without-proof-and-with-an-error",
        ),
        pytest.param(
            Ending(verdict="refused", reason="cooldown", decision_detail="12 s ago."),
            Verdict.REFUSED,
            "cooldown. 12 s ago.",
            id="refused",
        ),
        pytest.param(Ending(verdict="refused", reason="dry-run"), Verdict.REFUSED, "dry-run", id="dry-run"),
        pytest.param(
            Ending(verdict="refused", reason="unsupported-architecture"), Verdict.UNSUPPORTED, "unsup", id="arm64"
        ),
        pytest.param(Ending(verdict="refused", reason="UnsupportedOperation"), Verdict.UNSUPPORTED, "Uns", id="by-ec2"),
        pytest.param(Ending(verdict="refused"), Verdict.REFUSED, "ended as refused", id="refused-without-reason"),
        pytest.param(Ending(verdict="incomplete"), Verdict.INCOMPLETE, "ended as incomplete", id="incomplete-as-told"),
        pytest.param(Ending(verdict="nonsense"), Verdict.FAILED, "before it had", id="no-such-verdict"),
        pytest.param(
            Ending(verdict="failed", error="VmcoreNotFound", is_crash_expected=True),
            Verdict.PANIC_NO_DUMP,
            "left no vmcore",
            id="the-error-knows-better-than-failed",
        ),
        pytest.param(
            Ending(found_status="incomplete", has_log=True), Verdict.INCOMPLETE, "log is in the bucket", id="incomplete"
        ),
        pytest.param(
            Ending(found_status="incomplete"), Verdict.INCOMPLETE, "did not finish", id="incomplete-without-log"
        ),
        pytest.param(
            Ending(found_status="incomplete", is_empty=True), Verdict.INCOMPLETE, "wrote nothing into", id="empty"
        ),
        pytest.param(
            Ending(error="VmcoreNotFound", cause="Nothing in /var/crash.", **CRASHED),
            Verdict.PANIC_NO_DUMP,
            "Nothing in /var/crash.",
            id="restarted-without-a-vmcore",
        ),
        pytest.param(
            Ending(error="DumpVolumeNotFound", unattached="Ec2Exception: No capacity.", **CRASHED),
            Verdict.PANIC_NO_DUMP,
            "Its parked dump volume could not be attached: Ec2Exception: No capacity.",
            id="parked-and-not-attached",
        ),
        pytest.param(
            Ending(error="VmcoreNotFound", gave_up="no dump volume within 1200 s", **CRASHED),
            Verdict.PANIC_NO_DUMP,
            "waited for the parked dump volume in vain: no dump volume within 1200 s.",
            id="parked-and-attached-too-late",
        ),
        pytest.param(
            Ending(error="DumpVolumeNotFound", **CRASHED),
            Verdict.FAILED,
            "DumpVolumeNotFound",
            id="attached-and-gone-with-what-is-on-it",
        ),
        pytest.param(Ending(error="VmcoreNotFound"), Verdict.FAILED, "VmcoreNotFound", id="nothing-to-fetch"),
        pytest.param(Ending(error="UnsupportedFamily"), Verdict.UNSUPPORTED, "UnsupportedFamily", id="family"),
        pytest.param(Ending(error="NoCrashDumpSupport"), Verdict.UNSUPPORTED, "NoCrash", id="kernel"),
        pytest.param(Ending(error="InstanceNotEnrolled"), Verdict.REFUSED, "InstanceNotEnrolled", id="not-enrolled"),
        pytest.param(Ending(error="InvalidInput", cause="x = 1."), Verdict.FAILED, "x = 1.", id="bad-input"),
        pytest.param(Ending(error="BucketRefused"), Verdict.FAILED, "BucketRefused", id="bucket"),
        pytest.param(Ending(error="VmcoreNotIdentical"), Verdict.FAILED, "VmcoreNotIdentical", id="not-identical"),
        pytest.param(
            Ending(error="States.Timeout", **CRASHED),
            Verdict.FAILED,
            f'start CollectVmcore with {{"instanceId": "{ID}"}}',
            id="time-out-after-an-interrupt",
        ),
        pytest.param(Ending(error="States.Timeout"), Verdict.FAILED, "A step timed out", id="time-out-without-cause"),
        pytest.param(
            Ending(phase="no-panic", phase_detail="It runs on.", **CRASHED), Verdict.NO_PANIC, "It runs", id="no-panic"
        ),
        pytest.param(
            Ending(phase="stopped", phase_detail="It is stopped.", **CRASHED), Verdict.FAILED, "start the", id="off"
        ),
        pytest.param(
            Ending(phase="timed-out", phase_detail="Late.", saw_crash_kernel=True, **CRASHED),
            Verdict.PANIC_NO_DUMP,
            "Late.",
            id="panicked-and-never-came-back",
        ),
        pytest.param(
            Ending(phase="timed-out", phase_detail="Late.", **CRASHED), Verdict.FAILED, "Late.", id="never-came-back"
        ),
        pytest.param(
            Ending(phase="stalled", phase_detail="45 % for 20 min.", **CRASHED),
            Verdict.PANIC_NO_DUMP,
            "45 % for 20 min. Anything that was written is on the dump volume. The console is in the bucket.",
            id="stalled",
        ),
        pytest.param(
            Ending(phase="looping", phase_detail="3 times.", **CRASHED), Verdict.PANIC_NO_DUMP, "3 times.", id="looping"
        ),
        pytest.param(
            Ending(phase="boot-loop", phase_detail="Saved.", **CRASHED), Verdict.FAILED, "Saved.", id="dumped-but-loops"
        ),
        pytest.param(Ending(), Verdict.FAILED, "before it had any result", id="nothing-known"),
    ],
)
def test_verdict(ending: Ending, verdict: Verdict, said: str) -> None:
    conclusion = decide_verdict(ending, instance_id=ID)
    assert conclusion.verdict == verdict
    assert said in conclusion.reason


NAMES = [name for name, error in vars(errors).items() if isinstance(error, type) and issubclass(error, HangdumpError)]
TEXTS = st.sampled_from(["", "something"])


@given(
    st.builds(
        Ending,
        verdict=st.sampled_from(["", *[verdict.value for verdict in Verdict]]),
        reason=TEXTS,
        error=st.sampled_from(["", "States.Timeout", *NAMES]),
        cause=TEXTS,
        phase=st.sampled_from(["", "online", "no-panic", "stopped", "timed-out", "dumping", "stalled", "looping"]),
        phase_detail=TEXTS,
        saw_crash_kernel=st.booleans(),
        found_status=st.sampled_from(["", "complete", "incomplete"]),
        is_verified=st.booleans(),
        is_opened=st.booleans(),
        is_crash_expected=st.booleans(),
    )
)
def test_captured_is_said_of_a_verified_vmcore_that_opens_and_of_nothing_else(ending: Ending) -> None:
    conclusion = decide_verdict(ending, instance_id=ID)
    assert (conclusion.verdict == Verdict.CAPTURED) == (ending.is_verified and ending.is_opened)
    assert conclusion.reason or ending.phase, "a reason is never missing"


@pytest.mark.parametrize(
    ("cause", "read"),
    [
        (json.dumps({"errorMessage": "What. Do.", "errorType": "X", "stackTrace": ["…"]}), "What. Do."),
        ("Plain text of an API error", "Plain text of an API error"),
        ('"quoted"', '"quoted"'),
        ("", ""),
    ],
)
def test_a_cause_is_read_as_its_message(cause: str, read: str) -> None:
    assert read_cause(cause) == read


@pytest.mark.parametrize("junk", [None, [], "text", 7, {"Error": None, "Cause": 5}, {"phase": 3}])
def test_an_event_with_junk_in_it_still_has_an_ending(junk: Any) -> None:
    event = dict.fromkeys(("error", "watch", "found", "verified", "opened", "incident", "verdict", "reason"), junk)
    incident = Incident(incident_id="x", state=State.OPENED)
    assert decide_verdict(read_ending(event, incident), instance_id=ID).verdict
