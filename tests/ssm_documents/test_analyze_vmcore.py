"""analyze_vmcore: fetches, runs our analysis as it is packed, sends the result, leaves no vmcore behind."""

import sys
import zipfile
from pathlib import Path

import pytest

from lambdas.analyze.manifest import pack
from tests.ssm_documents.bucket import Bucket
from tests.ssm_documents.document_run import Run
from tests.ssm_documents.fake_root import FakeRoot

SIGNATURE = "X-Amz-Signature=0123456789abcdef"
DUMP = b"KDUMP   a dump" * 1000
SCRATCH = "var/tmp/hangdump-analysis"
# Stands for the Python of the environment that the document makes: it has drgn, and says what the test wants.
PYTHON = """\
#!/bin/bash
if [[ "$1" == -c ]]; then exit 0; fi
printf '%s\\n' "$*" >>"{root}/calls"
if [[ -f "$3" ]]; then cp "$3" "{root}/analysed"; fi
{then}
"""
WRITES = 'echo \'{{"kernelRelease": "6.1.0"}}\''


@pytest.fixture
def ready(root: FakeRoot, bucket: Bucket) -> FakeRoot:
    """With everything in the bucket, and room."""
    (root.path / "var/tmp").mkdir(parents=True, exist_ok=True)
    root.write("file-systems", f"/ {64 << 30} {32 << 30}\n")
    bucket.objects |= {"/vmcore": DUMP, "/analysis.zip": pack()}
    lines = [
        f"{kind}\t{size}\t{bucket.url}/{name}?{SIGNATURE}\n"
        for kind, size, name in (
            ("bundle", len(pack()), "analysis.zip"),
            ("vmcore", len(DUMP), "vmcore"),
            ("result", 0, "analysis.json"),
        )
    ]
    bucket.objects["/manifest.tsv"] = "".join(lines).encode()
    return root


def install_python(root: FakeRoot, text: str) -> None:
    python = root.write("var/lib/hangdump/analysis/bin/python", text)
    python.chmod(0o755)


def analyze(root: FakeRoot, bucket: Bucket, then: str = WRITES, **more: str) -> Run:
    install_python(root, PYTHON.format(root=root.path, then=then.format()))
    run = root.run("analyze_vmcore", manifestUrl=f"{bucket.url}/manifest.tsv?{SIGNATURE}", **more)
    assert not (root.path / SCRATCH).exists(), "another machine's memory is left behind"
    assert SIGNATURE not in run.stdout + run.stderr
    return run


def test_the_result_is_sent_and_the_vmcore_is_gone(ready: FakeRoot, bucket: Bucket) -> None:
    result = analyze(ready, bucket).result
    assert bucket.objects["/analysis.json"] == b'{"kernelRelease": "6.1.0"}\n'
    assert (ready.path / "analysed").read_bytes() == DUMP
    assert (result["status"], result["analysisBytes"]) == ("analysed", 27)
    scratch = ready.path / SCRATCH
    assert ready.called("-m") == [f"-m analysis {scratch}/vmcore"]


def test_what_reads_the_vmcore_has_no_privileges_and_no_secrets(ready: FakeRoot, bucket: Bucket) -> None:
    analyze(ready, bucket, f'env >"{ready.path}/environment"; ls -l /proc/self/fd >"{ready.path}/files"; {WRITES}')
    scratch = ready.path / SCRATCH
    calls = ready.calls
    assert "useradd --system --user-group --no-create-home --home-dir / --shell /bin/false hangdump-analysis" in calls
    assert f"install -d -o root -g hangdump-analysis -m 0750 {scratch}" in calls
    dropped = "setpriv --reuid=990 --regid=990 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
    assert calls[calls.index(f"-m analysis {scratch}/vmcore") - 1] == dropped
    assert calls[-1] == "pkill -KILL -u hangdump-analysis"
    environment = ready.read("environment")
    assert "SSM_" not in environment
    assert SIGNATURE not in environment
    assert "hangdump-analysis.lock" not in ready.read("files")


# Has symbols only after root has installed them; what it says of the release is what the dump says.
LACKS_SYMBOLS = """\
case "$3" in
  release) echo '{release}' ;;
  install) touch "{root}/installed" ;;
  *) [[ -e "{root}/installed" ]] || {{ echo 'DebuginfoNotFound: none' >&2; exit 1; }}; echo '{{"a": 1}}' ;;
esac
"""


def test_root_installs_symbols_by_the_release_and_opens_no_dump(ready: FakeRoot, bucket: Bucket) -> None:
    then = LACKS_SYMBOLS.format(root=ready.path, release="6.1.0-18-amd64").replace("{", "{{").replace("}", "}}")
    assert analyze(ready, bucket, then).result["status"] == "analysed"
    calls = [call.split()[0] if call.startswith("setpriv") else call for call in ready.calls]
    vmcore = f"{ready.path / SCRATCH}/vmcore"
    analysis = ["setpriv", f"-m analysis {vmcore}"]
    ran = [call for call in calls if call.startswith(("setpriv", "-m"))]
    assert ran == [
        *analysis,
        "setpriv",
        f"-m analysis release {vmcore}",
        "-m analysis install 6.1.0-18-amd64",
        *analysis,
    ]


@pytest.mark.parametrize("release", ["../../x", "6.1 -o x", "--help", ""])
def test_a_release_that_is_none_is_not_installed(ready: FakeRoot, bucket: Bucket, release: str) -> None:
    then = LACKS_SYMBOLS.format(root=ready.path, release=release).replace("{", "{{").replace("}", "}}")
    assert analyze(ready, bucket, then).error == "DebuginfoNotFound"
    assert not any("install" in call for call in ready.called("-m"))


def test_an_analysis_of_endless_length_is_not_sent(ready: FakeRoot, bucket: Bucket) -> None:
    assert analyze(ready, bucket, "head -c 70000000 /dev/zero").error == "AnalysisFailed"
    assert "/analysis.json" not in bucket.objects


def test_what_a_killed_run_left_is_removed_first(ready: FakeRoot, bucket: Bucket) -> None:
    ready.write(f"{SCRATCH}/vmcore", "another one's")
    analyze(ready, bucket)
    assert (ready.path / "analysed").read_bytes() == DUMP


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ("DebuginfoNotFound: no debuginfo of 6.1.0 with the build id 3b", "DebuginfoNotFound"),
        ("SymbolsMismatched: vmlinux has the build id 3b", "SymbolsMismatched"),
        ("VmcoreUnreadable: it does not open", "VmcoreUnreadable"),
        ("Traceback: MemoryError", "AnalysisFailed"),
    ],
)
def test_what_the_analysis_knows_is_a_named_error(ready: FakeRoot, bucket: Bucket, says: str, error: str) -> None:
    run = analyze(ready, bucket, f"echo '{says}' >&2; exit 1")
    assert (run.exit_code, run.error) == (1, error)
    assert run.report is not None
    assert says.split(": ", 1)[1] in run.report["message"]
    assert "/analysis.json" not in bucket.objects


def test_our_analysis_runs_out_of_its_zip_file(ready: FakeRoot, bucket: Bucket) -> None:
    """The real one, with a real Python: what is no dump is told so before any symbols are looked for."""
    install_python(ready, f'#!/bin/bash\nexec {sys.executable} "$@"\n')
    run = ready.run("analyze_vmcore", manifestUrl=f"{bucket.url}/manifest.tsv?{SIGNATURE}")
    assert run.error == "VmcoreUnreadable", run.stderr
    assert run.report is not None
    assert "does not open as a kernel dump" in run.report["message"]


def test_an_analysis_that_does_not_end_is_ended(ready: FakeRoot, bucket: Bucket) -> None:
    run = analyze(ready, bucket, "while :; do :; done", timeoutSeconds="64")
    assert run.error == "AnalysisFailed"
    assert run.report is not None
    assert "did not end within 64 s" in run.report["message"]


def test_a_host_without_room_fetches_nothing(ready: FakeRoot, bucket: Bucket) -> None:
    ready.write("file-systems", f"/ {8 << 30} {4 << 30}\n")
    assert analyze(ready, bucket).error == "InsufficientDiskSpace"
    assert ("GET", "/vmcore") not in bucket.requests


@pytest.mark.parametrize("path", ["/manifest.tsv", "/vmcore", "/analysis.zip", "/analysis.json"])
def test_a_url_that_has_expired_is_said(ready: FakeRoot, bucket: Bucket, path: str) -> None:
    bucket.misbehave[path] = [403]
    run = analyze(ready, bucket)
    assert run.error == "AnalysisFailed"
    assert run.report is not None
    assert "may have expired" in run.report["message"]


def test_a_vmcore_of_another_size_is_not_analysed(ready: FakeRoot, bucket: Bucket) -> None:
    bucket.objects["/vmcore"] = DUMP + b"more"
    run = analyze(ready, bucket)
    assert run.error == "AnalysisFailed"
    assert ready.called("-m") == []


def test_a_manifest_with_anything_else_in_it_is_refused(ready: FakeRoot, bucket: Bucket) -> None:
    bucket.objects["/manifest.tsv"] += b"vmcore\t1\tfile:///etc/shadow\n"
    assert analyze(ready, bucket).error == "AnalysisFailed"
    assert ("GET", "/vmcore") not in bucket.requests


# A host's own Python, without drgn; its virtual environments know one index.
HOST_PYTHON = """\
#!/bin/bash
{python} "$@" || exit
if [[ "$1 $2" == "-m venv" ]]; then printf '[global]\\nno-index = true\\nfind-links = {index}\\n' >"$3/pip.conf"; fi
"""


def test_a_drgn_that_is_not_the_pinned_one_is_not_installed(ready: FakeRoot, bucket: Bucket, tmp_path: Path) -> None:
    """By a real pip; the index offers another file under the pinned name and version."""
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / "drgn-0.3.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("drgn.py", "")
        wheel.writestr("drgn-0.3.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: drgn\nVersion: 0.3.0\n")
        wheel.writestr("drgn-0.3.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("drgn-0.3.0.dist-info/RECORD", "")
    python = ready.tools / "python3"
    python.write_text(HOST_PYTHON.format(python=Path(sys.base_prefix) / "bin" / "python3", index=index))
    python.chmod(0o755)
    run = ready.run("analyze_vmcore", manifestUrl=f"{bucket.url}/manifest.tsv?{SIGNATURE}")
    assert run.error == "PackageUnavailable", run.stderr
    assert "DO NOT MATCH THE HASHES" in run.stderr
    assert list((ready.path / "var/lib/hangdump/analysis").rglob("drgn*")) == []


# A package manager whose packages bring a Python that makes environments, with drgn in them.
PACKAGE_MANAGER = """\
#!/bin/bash
printf '%s\\n' "$*" >>"{root}/packages"
if [[ "$*" == *"{gives}"* ]]; then cp "{root}/newer" "{tools}/{named}"; else exit 1; fi
"""
NEWER_PYTHON = """\
#!/bin/bash
if [[ "$1 $2" == "-m venv" ]]; then mkdir -p "$3/bin" && cp "{root}/environment-python" "$3/bin/python"; exit; fi
[[ "$1" == -c && "$2" != *drgn* ]]
"""
TOO_OLD = "#!/bin/bash\nexit 1\n"


@pytest.mark.parametrize(
    ("manager", "gives", "named"),
    [
        ("apt-get", "install python3-venv", "python3"),
        ("dnf", "install python3.11 python3.11-pip", "python3.11"),
        ("zypper", "python311 python311-pip", "python3.11"),
    ],
)
def test_a_host_whose_python_is_too_old_gets_one_of_its_distribution(
    ready: FakeRoot, bucket: Bucket, manager: str, gives: str, named: str
) -> None:
    root, tools = ready.path, ready.tools
    # Its drgn is there once pip was told to install it.
    environment = PYTHON.replace('if [[ "$1" == -c ]]; then exit 0; fi\n', ENVIRONMENT_PYTHON)
    ready.write("environment-python", environment.format(root=root, then=WRITES.format())).chmod(0o755)
    ready.write("newer", NEWER_PYTHON.format(root=root)).chmod(0o755)
    for name, text in {
        "python3": TOO_OLD,
        manager: PACKAGE_MANAGER.format(root=root, tools=tools, gives=gives, named=named),
    }.items():
        (tools / name).unlink(missing_ok=True)
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)

    # Without Debian's own apt-get.
    path = ":".join(each for each in ready.search_path().split(":") if not each.endswith("stubs/debian"))
    run = ready.run_on_path(path, "analyze_vmcore", manifestUrl=f"{bucket.url}/manifest.tsv?{SIGNATURE}")

    assert run.result["status"] == "analysed", run.stderr
    assert gives in ready.read("packages")
    assert (root / "pip-ran").exists()


# Has drgn after pip has run.
ENVIRONMENT_PYTHON = """\
if [[ "$1" == -c ]]; then [[ -e "{root}/pip-ran" ]]; exit; fi
if [[ "$2" == zipfile ]]; then exit 0; fi
if [[ "$2" == pip ]]; then touch "{root}/pip-ran"; exit 0; fi
"""
