"""The demo's command line, and how a run is held against the variant that it claims to be."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.demo import options
from lab.demo.variant import Observed, Variant
from lambdas.provision.provision_input import ProvisionInput

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--release", "sid"], ["--release", "'sid'", "'bookworm', 'trixie'"]),
        (["--file-system", "btrfs"], ["--file-system", "'btrfs'", "'xfs', 'ext4'"]),
        (["--final-action", "halt"], ["--final-action", "'halt'", "'reboot', 'poweroff'"]),
        (["--memory-mib", "512"], ["--memory-mib", "'512'", "1024 (t3.micro)", "4096 (t3.medium)"]),
        (["--memory-mib", "1 GiB"], ["--memory-mib", "'1 GiB'", "1024 (t3.micro)"]),
        (["--memory", "4096"], ["--memory"]),
        (["--dump-volume", "gone"], ["--dump-volume", "'gone'", "'attached', 'parked'"]),
        (["--drill", "yes"], ["--drill", "'yes'", "'0', '1'"]),
        (["--drill", "1", "--hardened", "yes"], ["--drill", "--hardened"]),
        (["--drill", "1", "--final-action", "poweroff"], ["--drill", "--final-action"]),
    ],
)
def test_a_wrong_value_is_refused_with_the_option_and_what_is_allowed(
    arguments: list[str], named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options.parse(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert [each for each in named if each not in said] == []


def test_without_options_it_is_the_stacks_own_settings() -> None:
    assert options.parse([]) == options.Options(None, Variant())
    assert Variant().provision_input() == {}


def test_what_differs_from_the_settings_is_given_to_provisioning() -> None:
    variant = options.parse(["--file-system", "ext4", "--final-action", "poweroff"]).variant
    given = {"instanceId": "i-0123456789abcdef0", **variant.provision_input()}
    assert ProvisionInput.model_validate(given).final_action == "poweroff"
    assert ProvisionInput.model_validate(given).file_system == "ext4"


def handed_on(**values: str) -> options.Options:
    """What `make demo` with these variables asks for."""
    rule = "show:; @echo $(DEMO_OPTIONS)"
    command = ["make", "-s", "-f", str(MAKEFILE), "--eval", rule, "show", *(f"{k}={v}" for k, v in values.items())]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return options.parse(said)


def test_make_hands_its_variables_on() -> None:
    given = handed_on(RELEASE="trixie", FILE_SYSTEM="ext4", FINAL_ACTION="poweroff", MEMORY_MIB="4096", HARDENED="yes")
    assert given.variant == Variant(
        release="trixie", file_system="ext4", final_action="poweroff", memory_mib=4096, hardened="yes"
    )
    assert not given.is_drill


def test_a_parked_volume_is_asked_of_provisioning() -> None:
    variant = handed_on(DUMP_VOLUME="parked").variant
    assert variant.provision_input() == {"dumpVolume": "parked"}
    assert str(variant).endswith(", parked")


def test_make_hands_a_drill_on() -> None:
    given = handed_on(DRILL="1", MEMORY_MIB="2048")
    assert given == options.Options(None, Variant(memory_mib=2048), is_drill=True)


RIGHT = Observed(release="bookworm", file_system="xfs", reserved_mib=192, memory_mib=1000, times_stopped=0)


def test_a_run_of_its_variant_contradicts_nothing() -> None:
    assert RIGHT.contradictions(Variant()) == []


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"release": "trixie"}, "runs trixie"),
        ({"file_system": "ext4"}, "is ext4"),
        ({"times_stopped": 1}, "stopped 1 times, not 0"),
        ({"memory_mib": 3900}, "3900 MiB"),
        ({"hardened": "yes"}, "hardens it: yes"),
        ({"dump_volume": "parked"}, "volume is parked"),
    ],
)
def test_a_run_of_another_variant_is_seen(seen: dict[str, Any], said: str) -> None:
    (found,) = replace(RIGHT, **seen).contradictions(Variant())
    assert said in found
