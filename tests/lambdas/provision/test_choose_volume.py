"""Which volume: tables over what EC2 can say."""

from dataclasses import replace

import pytest

from lambdas.instance.facts import Instance
from lambdas.provision.choose_volume import Choice, DumpVolume, choose_volume
from lambdas.runtime.errors import DumpVolumeElsewhere, DumpVolumeUnfit, NoFreeDeviceName, SeveralDumpVolumes

INSTANCE = Instance(
    instance_id="i-0123456789abcdef0",
    state="running",
    instance_type="t3.micro",
    availability_zone="eu-west-1a",
    is_windows=False,
    tags={},
    device_names=("/dev/sda1",),
)
FREE = DumpVolume(
    volume_id="vol-1",
    state="available",
    availability_zone="eu-west-1a",
    size_gib=9,
    is_encrypted=True,
    is_ours=True,
)
HERE = replace(
    FREE,
    volume_id="vol-2",
    state="in-use",
    attached_to=INSTANCE.instance_id,
    attachment_state="attached",
    device="/dev/sdh",
)
THERE = replace(HERE, volume_id="vol-3", attached_to="i-0fedcba9876543210")


@pytest.mark.parametrize(
    ("volumes", "choice"),
    [
        pytest.param([], Choice("create", "", 8, "/dev/sdf"), id="none"),
        pytest.param([HERE], Choice("reuse", "vol-2", 9, "/dev/sdh"), id="attached"),
        pytest.param([replace(HERE, attachment_state="attaching")], Choice("reuse", "vol-2", 9, "/dev/sdh"), id="soon"),
        pytest.param([FREE], Choice("attach", "vol-1", 9, "/dev/sdf"), id="available"),
        pytest.param([replace(FREE, state="creating")], Choice("attach", "vol-1", 9, "/dev/sdf"), id="being-created"),
        pytest.param([FREE, HERE], Choice("reuse", "vol-2", 9, "/dev/sdh"), id="attached-before-available"),
        pytest.param([THERE, FREE], Choice("attach", "vol-1", 9, "/dev/sdf"), id="free-one-beside-one-elsewhere"),
        pytest.param([replace(FREE, state="deleting")], Choice("create", "", 8, "/dev/sdf"), id="being-deleted"),
        pytest.param([replace(FREE, state="error")], Choice("create", "", 8, "/dev/sdf"), id="in-error"),
        pytest.param([replace(FREE, is_ours=False)], Choice("create", "", 8, "/dev/sdf"), id="somebody-elses"),
        pytest.param([replace(FREE, is_encrypted=False)], Choice("create", "", 8, "/dev/sdf"), id="not-encrypted"),
        pytest.param([replace(FREE, size_gib=7)], Choice("create", "", 8, "/dev/sdf"), id="too-small"),
        pytest.param(
            [replace(FREE, is_ours=False), replace(FREE, volume_id="vol-4")],
            Choice("attach", "vol-4", 9, "/dev/sdf"),
            id="ours-beside-somebody-elses",
        ),
        pytest.param([replace(THERE, is_ours=False)], Choice("create", "", 8, "/dev/sdf"), id="a-block-by-somebody"),
    ],
)
def test_chooses(volumes: list[DumpVolume], choice: Choice) -> None:
    assert choose_volume(INSTANCE, volumes, size_gib=8) == choice


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        pytest.param(replace(HERE, is_ours=False), "did not create it for this instance", id="somebody-elses"),
        pytest.param(replace(HERE, is_encrypted=False), "it is not encrypted", id="not-encrypted"),
        pytest.param(replace(HERE, size_gib=1), "it has 1 GiB of 8", id="too-small"),
        pytest.param(
            replace(HERE, is_ours=False, is_encrypted=False, size_gib=1, attachment_state="attaching"),
            "did not create it for this instance, it is not encrypted, it has 1 GiB of 8",
            id="all-of-it",
        ),
    ],
)
def test_no_host_dumps_to_a_volume_that_somebody_attached_and_tagged(volume: DumpVolume, said: str) -> None:
    with pytest.raises(DumpVolumeUnfit) as raised:
        choose_volume(INSTANCE, [volume, FREE], size_gib=8)
    assert f"vol-2 is attached to {INSTANCE.instance_id}" in str(raised.value)
    assert said in str(raised.value)
    assert "detach it, remove its tag hangdump:instance-id" in str(raised.value)


def test_a_volume_that_somebody_attached_besides_is_no_obstacle() -> None:
    foreign = replace(HERE, volume_id="vol-1", is_ours=False)
    assert choose_volume(INSTANCE, [foreign, HERE], size_gib=8).volume_id == "vol-2"


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        pytest.param(replace(FREE, availability_zone="eu-west-1b"), "vol-1 is available in eu-west-1b", id="zone"),
        pytest.param(THERE, "vol-3 is attached to i-0fedcba9876543210", id="other-instance"),
        pytest.param(replace(HERE, attachment_state="detaching"), "vol-2 is detaching from i-0123", id="on-its-way"),
    ],
)
def test_a_volume_out_of_reach_is_neither_stolen_nor_doubled(volume: DumpVolume, said: str) -> None:
    with pytest.raises(DumpVolumeElsewhere) as raised:
        choose_volume(INSTANCE, [volume], size_gib=8)
    assert said in str(raised.value)
    assert "remove its tag hangdump:instance-id" in str(raised.value)


def test_several_free_volumes_are_a_humans_choice() -> None:
    with pytest.raises(SeveralDumpVolumes, match="vol-1, vol-4"):
        choose_volume(INSTANCE, [FREE, replace(FREE, volume_id="vol-4")], size_gib=8)


@pytest.mark.parametrize(
    ("taken", "device"),
    [
        pytest.param(["/dev/sda1", "/dev/sdf"], "/dev/sdg", id="first-taken"),
        pytest.param(["/dev/xvda", "/dev/xvdf", "/dev/sdg1"], "/dev/sdh", id="other-spellings"),
        pytest.param([f"/dev/sd{letter}" for letter in "fghijklmno"], "/dev/sdp", id="last-one"),
        pytest.param(["/dev/nvme1n1"], "/dev/sdf", id="no-letter"),
    ],
)
def test_takes_the_first_free_device_name(taken: list[str], device: str) -> None:
    assert choose_volume(replace(INSTANCE, device_names=tuple(taken)), [], size_gib=8).device == device


FULL = replace(INSTANCE, device_names=tuple(f"/dev/sd{letter}" for letter in "fghijklmnop"))


def test_no_free_device_name_is_an_error_before_anything_is_created() -> None:
    with pytest.raises(NoFreeDeviceName, match=r"every device name from /dev/sdf to /dev/sdp\. Detach a volume"):
        choose_volume(FULL, [], size_gib=8)


def test_a_full_instance_keeps_the_dump_volume_that_it_has() -> None:
    assert choose_volume(FULL, [HERE], size_gib=8).action == "reuse"
