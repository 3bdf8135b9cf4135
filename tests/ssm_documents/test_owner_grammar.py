"""Whatever real lines the owner's kdump configuration has, those that Hangdump sets among them: configuring refuses
before it changes a file, or keeps all lines that are not Hangdump's to set, and a second run changes nothing.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import RUNS
from tests.ssm_documents.fake_root import FakeRoot
from tests.ssm_documents.hosts import host
from tests.ssm_documents.ledger import put_edited_files_back
from tests.ssm_documents.ready_host import prepared_copy

# A document takes a second or more, and each example runs it up to five times.
EXAMPLES = max(2, RUNS // 200)
VALUES = st.sampled_from(
    [
        "",
        "0",
        "1",
        "/srv",
        "/var/crash/",
        "server:/dumps",
        "makedumpfile -c -d 1",
        "-c -d 1",
        "reset_devices panic=5",
        "lz4",
    ]
)
QUOTES = st.sampled_from(["{}", '"{}"', "'{}'"])
INDENT = st.sampled_from(["", "", " ", "\t"])
EXPORT = st.sampled_from(["", "", "export ", "export\t"])
END = st.sampled_from(["", "", " ", "\t# why"])


def _assignments(*keys: str) -> st.SearchStrategy[str]:
    def line(key: str, value: str, quotes: str, frame: tuple[str, str, str]) -> str:
        # The shell, too, wants quotes around a blank.
        quoted = quotes.format(value) if " " not in value or quotes != "{}" else f'"{value}"'
        return f"{frame[0]}{frame[1]}{key}={quoted}{frame[2]}"

    return st.builds(line, st.sampled_from(keys), VALUES, QUOTES, st.tuples(INDENT, EXPORT, END))


# What Hangdump sets, by file; each file's other keys are its owner's.
SET: dict[str, dict[str, tuple[str, ...]]] = {
    "debian12": {
        "etc/default/kdump-tools": (
            "USE_KDUMP", "KDUMP_COREDIR", "MAKEDUMP_ARGS", "KDUMP_COMPRESSION", "KDUMP_CMDLINE_APPEND",
            "KDUMP_NUM_DUMPS",
        ),
        "etc/default/grub": (),
    },
    "sles16": {
        "etc/sysconfig/kdump": (
            "KDUMP_SAVEDIR", "KDUMP_DUMPLEVEL", "KDUMP_DUMPFORMAT", "KDUMP_KEEP_OLD_DUMPS", "KDUMP_FREE_DISK_SIZE",
            "KDUMP_CRASHKERNEL", "KDUMP_IMMEDIATE_REBOOT", "KDUMP_CONTINUE_ON_ERROR", "MAKEDUMPFILE_OPTIONS",
        ),
    },
    "rhel9": {"etc/sysconfig/kdump": ("KDUMP_COMMANDLINE_APPEND",)},
}  # fmt: skip
OWNED: dict[str, tuple[str, ...]] = {
    "etc/default/kdump-tools": (
        "KDUMP_FAIL_CMD", "KDUMP_DUMP_DMESG", "KDUMP_KEXEC_ARGS", "KDUMP_SYSCTL", "NFS", "SSH",
        "FTP", "HOSTTAG", "NFS_TIMEO",
    ),
    "etc/default/grub": ("GRUB_TIMEOUT", "GRUB_TERMINAL", "GRUB_CMDLINE_LINUX_RECOVERY", "GRUB_DISABLE_OS_PROBER"),
    "etc/sysconfig/kdump": ("KDUMP_KERNELVER_OLD", "KDUMP_NOTIFICATION_TO", "KDUMP_VERBOSE", "KDUMP_IMG", "MY_KDUMP"),
}  # fmt: skip


def owner_lines(name: str) -> st.SearchStrategy[dict[str, list[str]]]:
    comments = st.sampled_from(["", "# USE_KDUMP=0", "#NFS=x", "\t# KDUMP_SAVEDIR", "#"])
    return st.fixed_dictionaries(
        {
            path: st.lists(
                st.one_of(comments, _assignments(*OWNED[path]), *([_assignments(*keys)] if keys else [])), max_size=8
            )
            for path, keys in SET[name].items()
        }
    )


def _is_set_by_hangdump(line: str, keys: tuple[str, ...]) -> bool:
    return line.strip().removeprefix("export").strip().split("=")[0] in keys


def put_lines(root: FakeRoot, lines: dict[str, list[str]]) -> dict[str, list[str]]:
    """Append them to what package and image have there; returned is what must stay."""
    for path, added in lines.items():
        root.write(path, root.read(path) + "".join(f"{line}\n" for line in added))
    return {
        path: [line for line in added if not _is_set_by_hangdump(line, SET[root.host.name][path])]
        for path, added in lines.items()
    }


def _missing(lines: list[str], text: str) -> list[str]:
    left = iter(text.splitlines())
    return [line for line in lines if line not in left]


def install_kdump(name: str, folder: str) -> FakeRoot:
    """kdump is installed, as an owner's earlier run of the package manager leaves it."""
    root = prepared_copy(name, Path(folder) / "root")
    assert root.run("configure_kdump").exit_code == 0
    put_edited_files_back(root)
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "debian12" else [pytest.mark.nightly]) for name in SET]
)
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_configuring_refuses_before_any_change_or_keeps_the_owner_s_lines(name: str, data: st.DataObject) -> None:
    assert host(name).name == name
    with TemporaryDirectory() as folder:
        root = install_kdump(name, folder)
        kept = put_lines(root, data.draw(owner_lines(name)))
        before = root.tree()
        run = root.run("configure_kdump")
        if run.exit_code != 0:
            assert run.error == "ConfigurationFailed", run.stdout
            assert root.tree() == before
            return
        assert {path: _missing(lines, root.read(path)) for path, lines in kept.items()} == {path: [] for path in kept}
        for path, keys in SET[name].items():
            set_lines = [line for line in root.read(path).splitlines() if _is_set_by_hangdump(line, keys)]
            assert len({line.split("=")[0] for line in set_lines}) == len(set_lines), set_lines
        after = root.tree()
        assert root.run("configure_kdump").exit_code == 0
        assert root.tree() == after
