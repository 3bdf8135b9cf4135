"""What EC2 shows of an instance's console: its text and its picture."""

import re

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response
from moto.ec2.utils import Base64EncodedString

from lab.aws.patches import Patches
from lab.aws.state import AccountState, Computer, utc_now

CONSOLE_BYTES = 64 * 1024
# The time that hangdump-ready.service prints.
_READY_AT = re.compile(r"(?<= config=[0-9a-f]{16}) at=(\d+)")
# Eight by eight white pixels.
PICTURE = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP//////////////////////////////////////////////////////////////////"
    "////////////////////2wBDAf//////////////////////////////////////////////////////////////////////////"
    "////////////wAARCAAIAAgDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAP/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QA"
    "FAEBAAAAAAAAAAAAAAAAAAAAAP/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAMAwEAAhEDEQA/AJgA/9k="
)


def install(patches: Patches, state: AccountState) -> None:
    _install_output(patches, state)
    _install_screenshot(patches, state)


def _install_output(patches: Patches, state: AccountState) -> None:
    """Real: the last 64 KB; live only with Latest=True (Nitro), else as of the last power event.

    moto: a canned Xen log. Here: the machine's serial log; without Latest the one kept at the last power event.
    """

    def get_console_output(response: EC2Response) -> ActionResult:
        instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
        computer = computer_of(state, instance.id)
        latest = response._get_bool_param("Latest", False)
        text = computer.machine.console() if latest else computer.posted_console
        moved_seconds = round(computer.boot_moved_back.total_seconds())
        text = _READY_AT.sub(lambda at: f" at={int(at[1]) - moved_seconds}", text)
        tail = text.encode("utf-8", "replace")[-CONSOLE_BYTES:].decode("utf-8", "ignore")
        return ActionResult(
            {
                "InstanceId": instance.id,
                "Timestamp": utc_now(),
                "Output": Base64EncodedString.from_raw_string(tail) if tail else None,
            }
        )

    patches.replace(EC2Response, "get_console_output", lambda _original: get_console_output)


def _install_screenshot(patches: Patches, state: AccountState) -> None:
    """Real: a JPG of the screen. moto: not implemented. Here: always the same picture."""

    def get_console_screenshot(response: EC2Response) -> ActionResult:
        instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
        computer_of(state, instance.id)
        if instance.state != "running":
            raise EC2ClientError("IncorrectInstanceState", f"The instance '{instance.id}' is not running.")
        return ActionResult({"InstanceId": instance.id, "ImageData": PICTURE})

    patches.add(EC2Response, "get_console_screenshot", get_console_screenshot)


def computer_of(state: AccountState, instance_id: str) -> Computer:
    if instance_id not in state.computers:
        raise EC2ClientError("InvalidInstanceID.NotFound", f"The instance '{instance_id}' has no machine in the lab")
    return state.computers[instance_id]
