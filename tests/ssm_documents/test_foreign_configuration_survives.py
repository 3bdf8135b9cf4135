"""Whatever its owner has in a file: configuring keeps it, in its order, and configuring again changes nothing.

The owner's lines are put at any place into the files of a host on which kdump is installed and nothing is configured.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot
from tests.ssm_documents.hosts import host
from tests.ssm_documents.ledger import put_edited_files_back
from tests.ssm_documents.ready_host import fresh_host

# What a sed or awk that is careless would change or drop.
TEXT = st.text(st.sampled_from("ab Z09\t\"'\\$`%&|*?[](){}<>;#=,./~!@^-_+é漢"), max_size=30).map(str.rstrip)
WORD = st.from_regex(r"[a-z][a-z0-9._/-]{0,11}", fullmatch=True)
NAME = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
COMMENT = st.builds("{}#{}".format, st.sampled_from(["", " ", "\t"]), TEXT)
BLANK = st.sampled_from(["", "  ", "\t"])
ASSIGNMENT = st.one_of(
    st.builds('OWNER_{}="{}"'.format, NAME, WORD),
    st.builds("OWNER_{}='{}'".format, NAME, TEXT.map(lambda text: text.replace("'", ""))),
)


def _lines(*kinds: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[float, str]]]:
    """Lines of the owner, each with its place: 0 the beginning, 1 the end."""
    return st.lists(st.tuples(st.floats(0, 1), st.one_of(*kinds)), max_size=6)


def _once(lines: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """kdump refuses an option that is there twice."""
    options = [line.split(maxsplit=1)[0] if line.strip() else "#" for _, line in lines]
    return [
        pair
        for number, (pair, option) in enumerate(zip(lines, options, strict=True))
        if option.startswith("#") or option not in options[:number]
    ]


def _near(*texts: str) -> st.SearchStrategy[str]:
    """What looks like a line of ours and is none."""
    return st.sampled_from(texts)


GRUB = _lines(COMMENT, BLANK, ASSIGNMENT, _near("# crashkernel=64M was too small", "GRUB_THEME=crashkernel=1"))
FSTAB = _lines(
    COMMENT,
    st.builds("UUID={}\t/srv/{} xfs  defaults,nofail 0 2".format, WORD, WORD),
    _near("#UUID=1 /var/crash xfs defaults,x-hangdump 0 0", "server:/x /mnt/x-hangdump-not nfs defaults,_netdev 0 0"),
)
SYSCTL = _lines(
    COMMENT,
    BLANK,
    st.builds("vm.{}  =  {}".format, WORD, WORD),
    _near("kernel.panic_print = 3", "kernel.printk = 4 4 1 7"),
)
EVERYWHERE = {"etc/fstab": FSTAB, "etc/default/grub": GRUB, "etc/sysctl.d/99-kernel_panic.conf": SYSCTL}
FILES: Mapping[str, Mapping[str, st.SearchStrategy[list[tuple[float, str]]]]] = {
    "debian12": EVERYWHERE
    | {
        "etc/default/kdump-tools": _lines(
            COMMENT, BLANK, ASSIGNMENT, _near("#USE_KDUMP=0", "KDUMP_COREDIR_OLD=/x", "MY_MAKEDUMP_ARGS='-c'")
        ),
        "etc/default/grub.d/20-owner.cfg": GRUB,
        "etc/default/grub.d/kdump-tools.cfg": GRUB,
    },
    "sles16": EVERYWHERE
    | {
        "etc/sysconfig/kdump": _lines(
            COMMENT, BLANK, ASSIGNMENT, _near("## Type:\tstring", "#KDUMP_SAVEDIR=/x", "KDUMP_NET_TIMEOUT=30")
        )
    },
    "rhel9": EVERYWHERE
    | {
        "etc/kdump.conf": _lines(
            COMMENT,
            BLANK,
            st.builds("extra_bins /usr/bin/{}".format, WORD),
            st.builds("extra_modules {} {}".format, WORD, WORD),
            _near("#xfs UUID=1", "#path /x", "kdump_post /usr/local/bin/tell", "fence_kdump_nodes a b"),
        ).map(_once)
    },
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FakeRoot]:
    """By name of the host: kdump is installed; its files and the boot loader's are as packages and image have them."""

    @cache
    def template(name: str) -> FakeRoot:
        root = fresh_host(host(name), tmp_path_factory.mktemp(name) / "root")
        assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).exit_code == 0
        assert root.run("configure_kdump").exit_code == 0
        put_edited_files_back(root)
        return root

    return template


def _put_among(root: FakeRoot, path: str, lines: list[tuple[float, str]]) -> list[str]:
    """Put the owner's lines into the file; they are returned in the order that they have there."""
    there = root.read(path).split("\n")[:-1] if (root.path / path).exists() else []
    placed = sorted((round(place * len(there)), number, line) for number, (place, line) in enumerate(lines))
    for index, _, line in reversed(placed):
        there.insert(index, line)
    root.write(path, "".join(f"{line}\n" for line in there))
    return [line for _, _, line in placed]


def _missing(lines: list[str], text: str) -> list[str]:
    """What of the lines, in their order, is not among those of the text."""
    left = iter(text.split("\n"))
    return [line for line in lines if line not in left]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "debian12" else [pytest.mark.nightly]) for name in FILES]
)
# A run takes a second: no shrinking, whose runs are many.
@settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_lines_of_the_owner_survive_in_order_and_a_second_run_changes_nothing(
    installed: Callable[[str], FakeRoot], name: str, data: st.DataObject
) -> None:
    with TemporaryDirectory() as directory:
        root = FakeRoot.copied(installed(name), Path(directory) / "root")
        owned = {path: _put_among(root, path, data.draw(lines, label=path)) for path, lines in FILES[name].items()}
        for document in ("prepare_dump_volume", "configure_kdump"):
            run = root.run(document, **({"volumeId": VOLUME_ID} if document == "prepare_dump_volume" else {}))
            assert run.exit_code == 0, run.stdout + run.stderr
        assert {path: _missing(lines, root.read(path)) for path, lines in owned.items()} == {path: [] for path in owned}
        before = root.tree()
        root.run("prepare_dump_volume", volumeId=VOLUME_ID)
        root.run("configure_kdump")
        assert root.tree() == before
