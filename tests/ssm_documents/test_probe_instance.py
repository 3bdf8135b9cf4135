"""The active probe answers from /proc alone."""

from tests.ssm_documents.fake_root import KERNEL, FakeRoot


def test_tells_boot_id_boot_time_and_kernel(root: FakeRoot) -> None:
    result = root.run("probe_instance").result
    assert result == {
        "bootId": "00000000-0000-4000-8000-000000000000",
        "bootedAt": "2026-11-23T02:13:20Z",
        "kernel": KERNEL,
    }


def test_needs_no_command_at_all(root: FakeRoot) -> None:
    run = root.run_on_path("/nonexistent", "probe_instance")
    assert run.exit_code == 0, run.stderr
    assert run.result["kernel"] == KERNEL


def test_does_not_report_the_crash_kernel_as_a_boot(root: FakeRoot) -> None:
    root.write("proc/vmcore", "")
    assert root.run("probe_instance").result == {"isCrashKernel": True}
