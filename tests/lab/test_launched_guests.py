"""Guests for RunInstances: what the account launches becomes a guest that knows who it is."""

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from lab.aws.launches import Launch, Launcher
from lab.launched_guests import launched_guests

if TYPE_CHECKING:
    from lab.aws.account import LabAccount

LAUNCH = Launch(
    instance_id="i-0123456789abcdef0",
    image_id="ami-1",
    availability_zone="eu-central-1a",
    instance_type="t3.micro",
    launched_at="2026-11-30T17:11:57Z",
    user_data="# hangdump-drill 0123",
)


class Account:
    """In the place of LabAccount: keeps what it is to launch with."""

    account_id = "123456789012"
    instance_port = 4711

    def __init__(self) -> None:
        self.launcher: Launcher | None = None

    def launch_with(self, launcher: Launcher) -> None:
        self.launcher = launcher


class Guest:
    """In the place of QemuGuest: starts nothing."""

    def __init__(self, workdir: Path, **given: Any) -> None:
        self.workdir, self.given, self.has_ended = workdir, given, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.has_ended = True


def test_a_launched_instance_is_a_guest_of_the_image_that_knows_who_it_is_and_ends_with_the_story(
    tmp_path: Path,
) -> None:
    account, image = Account(), tmp_path / "root.qcow2"
    with launched_guests(
        cast("LabAccount", account), tmp_path, image=image, volumes=tmp_path / "volumes", make=cast("Any", Guest)
    ) as guests:
        assert account.launcher is not None
        account.launcher(LAUNCH)
        (guest,) = cast("list[Any]", guests)
        assert guest.workdir == tmp_path / LAUNCH.instance_id
        assert (guest.given["disk"], guest.given["s3_port"]) == (image, 4711)
        identity = guest.given["identity"]
        assert (identity.instance_id, identity.user_data) == (LAUNCH.instance_id, LAUNCH.user_data)
        assert (identity.launched_at, identity.account_id) == (LAUNCH.launched_at, "123456789012")
    assert guest.has_ended
