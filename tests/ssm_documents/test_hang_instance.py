"""hang_instance hangs the twin that a drill launched within the hour, and nothing else, whoever sends it."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.ssm_documents.document_run import Run
from tests.ssm_documents.fake_root import FakeRoot

TWIN = "i-0123456789abcdef0"
TOKEN = f"hangdump-{'0123456789abcdef' * 3}"
# As lambdas/drill/request.py writes it; tests/lambdas/drill/test_plan_drill.py compares them.
USER_DATA = f"#cloud-boothook\n#!/bin/sh\n# hangdump-drill {TOKEN}\nsystemd-run --on-active=600m systemctl poweroff\n"

# The metadata service: a token for PUT, then what lies below the path; 404 for what does not.
_CURL = """#!/bin/bash
echo "curl $*" >>"$HOST_ROOT/calls"
url="${*: -1}"
case "$*" in
  *"-X PUT"*"/latest/api/token"*) [[ -e "$HOST_ROOT/metadata" ]] && echo secret-token ;;
  *"X-aws-ec2-metadata-token: secret-token"*) cat "$HOST_ROOT/metadata/${url#*/latest/}" 2>/dev/null || exit 22 ;;
  *) exit 22 ;;
esac
"""
_LOG_ONLY = '#!/bin/bash\necho "{name} $*" >>"$HOST_ROOT/calls"\n'
# Runs the rest of its command line, as the real one does on its processor.
_TASKSET = '#!/bin/bash\necho "taskset $*" >>"$HOST_ROOT/calls"\nshift 2\nexec "$@"\n'

# The time until the hang, which lasts until a test lets it pass.
_SLEEP = """#!/bin/bash
[[ "$1" == 20 ]] || exec /bin/sleep "$1"
until [[ -e "$HOST_ROOT/hang-begins" ]]; do /bin/sleep 0.05; done
"""


def put_tool(root: FakeRoot, name: str, text: str) -> None:
    """A command of the host, in the place of the real one."""
    tool = root.tools / name
    tool.unlink(missing_ok=True)
    tool.write_text(text)
    tool.chmod(0o755)


def set_launched(root: FakeRoot, ago: timedelta) -> None:
    """What the identity document says."""
    at = (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f'{{\n  "accountId" : "123456789012",\n  "pendingTime" : "{at}",\n  "region" : "eu-west-1"\n}}'
    root.write("metadata/dynamic/instance-identity/document", text)


@pytest.fixture
def twin(root: FakeRoot) -> FakeRoot:
    """Launched ten minutes ago by the drill, with two processors."""
    put_tool(root, "curl", _CURL)
    put_tool(root, "taskset", _TASKSET)
    sleep = root.path / "before-stubs/sleep"
    sleep.parent.mkdir()
    sleep.write_text(_SLEEP)
    sleep.chmod(0o755)
    for name in ("chrt", "fsfreeze"):
        put_tool(root, name, _LOG_ONLY.format(name=name))
    root.write("metadata/meta-data/instance-id", TWIN)
    root.write("metadata/user-data", USER_DATA)
    set_launched(root, timedelta(minutes=10))
    for number in range(2):
        (root.path / f"sys/devices/system/cpu/cpu{number}").mkdir(parents=True)
    (root.path / "sys/devices/system/cpu/cpufreq").mkdir()
    root.write("proc/sysrq-trigger", "")
    root.write("proc/sys/kernel/sysrq", "0\n")
    root.write("proc/sys/kernel/sched_rt_runtime_us", "950000\n")
    root.write("sys/kernel/debug/provoke-crash/DIRECT", "PANIC\nHARDLOCKUP\nSOFTLOCKUP\n")
    (root.path / "var/tmp").mkdir(parents=True, exist_ok=True)
    return root


def hang(root: FakeRoot, **parameters: str) -> Run:
    # Before the sleep of all other documents, which does not.
    search_path = f"{root.path}/before-stubs:{root.search_path()}"
    given = {"instanceId": TWIN, "token": TOKEN, "hang": "panic", **parameters}
    return root.run_on_path(search_path, "hang_instance", **given)


def wait_until_read(root: FakeRoot, path: str, text: str) -> None:
    """The hang begins when the document has ended."""
    root.write("hang-begins", "")
    deadline = time.monotonic() + 30
    while text not in root.read(path):
        assert time.monotonic() < deadline, f"{path} is {root.read(path)!r}"
        time.sleep(0.05)


def is_untouched(root: FakeRoot) -> bool:
    return (root.read("proc/sysrq-trigger"), root.read("proc/sys/kernel/sched_rt_runtime_us")) == ("", "950000\n")


def test_the_twin_of_the_drill_panics_after_it_has_said_so(twin: FakeRoot) -> None:
    assert hang(twin).result == {"status": "hanging", "way": "panic"}
    # Whoever sent it has the answer before that.
    assert twin.read("proc/sysrq-trigger") == ""
    wait_until_read(twin, "proc/sysrq-trigger", "c")
    assert twin.read("proc/sys/kernel/sysrq") == "1\n"


def test_every_processor_spins_with_interrupts_off(twin: FakeRoot) -> None:
    assert hang(twin, hang="cpus-spinning").result["way"] == "cpus-spinning"

    for number in range(2):
        wait_until_read(twin, "calls", f"taskset -c {number} ")
    assert twin.called("modprobe") == ["modprobe lkdtm"]


def test_every_processor_is_starved_and_the_threads_that_receive_frames_with_it(twin: FakeRoot) -> None:
    fair_server = "sys/kernel/debug/sched/fair_server/cpu0/runtime"
    twin.write("sys/class/net/ens5/threaded", "0\n")
    twin.write(fair_server, "50000000\n")

    assert hang(twin, hang="real-time").result["way"] == "real-time"

    assert twin.read("proc/sys/kernel/sched_rt_runtime_us") == "-1\n"
    assert twin.read("sys/class/net/ens5/threaded") == "1\n"
    assert twin.read(fair_server) == "0\n"
    wait_until_read(twin, "calls", "while :; do :; done")
    assert twin.called("chrt")[0] == "chrt -f 99 true"


def test_the_root_is_frozen_under_its_writers(twin: FakeRoot) -> None:
    assert hang(twin, hang="file-system").result["way"] == "file-system"

    wait_until_read(twin, "calls", "fsfreeze --freeze")
    assert twin.read("proc/sys/kernel/hung_task_timeout_secs") == "35\n"
    assert len(list((twin.path / "var/tmp").iterdir())) == 4
    # Ends the writers, as the freeze would hold them.
    (twin.path / "var/tmp").rename(twin.path / "var/gone")


@pytest.mark.parametrize("way", ["panic", "cpus-spinning", "real-time", "file-system"])
@pytest.mark.parametrize(
    ("parameters", "cause"),
    [
        pytest.param(
            {"instanceId": "i-0fedcba9876543210"}, f"This is {TWIN}, not i-0fedcba9876543210", id="another id"
        ),
        pytest.param({"instanceId": "none"}, f"This is {TWIN}, not none", id="no id"),
        pytest.param({"token": "none"}, "No token was given", id="no token"),
        pytest.param({"token": f"hangdump-{'f' * 48}"}, "did not launch", id="another drill's token"),
    ],
)
def test_refuses_parameters_that_do_not_prove_it(
    twin: FakeRoot, parameters: dict[str, str], cause: str, way: str
) -> None:
    run = hang(twin, **{"hang": way, **parameters})

    assert (run.exit_code, run.error) == (1, "HangRefused")
    assert run.report is not None
    assert cause in run.report["message"]
    assert is_untouched(twin)


@pytest.mark.parametrize(
    ("missing", "cause"),
    [
        pytest.param("", "gives no token", id="no metadata service"),
        pytest.param("meta-data/instance-id", "which instance this is", id="no id"),
        pytest.param("user-data", "has no user data", id="no user data"),
        pytest.param("dynamic/instance-identity/document", "when this instance was launched", id="no identity"),
    ],
)
def test_refuses_a_host_whose_metadata_does_not_prove_it(twin: FakeRoot, missing: str, cause: str) -> None:
    path = twin.path / "metadata" / missing
    path.rename(twin.path / "elsewhere")

    run = hang(twin)

    assert (run.exit_code, run.error) == (1, "HangRefused")
    assert run.report is not None
    assert cause in run.report["message"]
    assert is_untouched(twin)


def test_refuses_an_instance_whose_user_data_only_resembles_the_mark(twin: FakeRoot) -> None:
    twin.write("metadata/user-data", f"#!/bin/sh\necho '# hangdump-drill {TOKEN}'\n")

    assert hang(twin).error == "HangRefused"
    assert is_untouched(twin)


@pytest.mark.parametrize("ago", [timedelta(minutes=61), timedelta(days=300), timedelta(minutes=-5)], ids=str)
def test_refuses_an_instance_that_was_not_launched_within_the_hour(twin: FakeRoot, ago: timedelta) -> None:
    set_launched(twin, ago)

    run = hang(twin)

    assert run.error == "HangRefused"
    assert run.report is not None
    assert "was launched" in run.report["message"]
    assert is_untouched(twin)


def test_refuses_a_launch_time_that_is_none(twin: FakeRoot) -> None:
    twin.write("metadata/dynamic/instance-identity/document", '{"pendingTime" : "yesterday"}')

    assert hang(twin).error == "HangRefused"
    assert is_untouched(twin)


def test_names_no_way_to_hang_as_wrong_only_to_the_twin(twin: FakeRoot) -> None:
    assert hang(twin, hang="none").error == "InvalidParameter"
    assert is_untouched(twin)


def test_a_kernel_without_the_module_says_that_it_cannot_be_hung_so(twin: FakeRoot) -> None:
    twin.write("sys/kernel/debug/provoke-crash/DIRECT", "PANIC\n")

    run = hang(twin, hang="cpus-spinning")

    assert run.error == "HangUnavailable"
    assert run.report is not None
    assert "panic works with each kernel" in run.report["message"]


def test_an_agent_without_real_time_priorities_says_so(twin: FakeRoot) -> None:
    put_tool(twin, "chrt", "#!/bin/bash\nexit 1\n")

    assert hang(twin, hang="real-time").error == "HangUnavailable"
