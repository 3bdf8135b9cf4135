"""The image of an instance to launch: read it, and choose the disk. Knows no act."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.runtime import clients

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import ImageTypeDef

_UNKNOWN_IMAGE = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed")


def find_image(image_id: str) -> "ImageTypeDef | None":
    """None: it is deregistered or not shared with this account."""
    try:
        images = clients.ec2().describe_images(ImageIds=[image_id])["Images"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in _UNKNOWN_IMAGE:
            raise
        images = []
    # EC2 describes an image that was deregistered a moment ago without an error.
    if not images or images[0].get("State", "available") != "available":
        return None
    return images[0]


def root_disk(image: "ImageTypeDef", *, more_gib: int = 0) -> list[dict[str, Any]]:
    """The block device mapping: the image's root, larger by `more_gib`, and nothing else.

    It is encrypted whatever the image is: Hangdump writes memory to no other disk. Further volumes of the image are
    left out: they can be terabytes of the owner's data, with which the applications of the image would start to work.
    """
    root = image["RootDeviceName"]
    mapped = {each["DeviceName"]: each for each in image["BlockDeviceMappings"] if "DeviceName" in each}
    size_gib = mapped.get(root, {}).get("Ebs", {}).get("VolumeSize", 8) + more_gib
    disk = {"VolumeSize": size_gib, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}
    others = [{"DeviceName": name, "NoDevice": ""} for name in mapped if name != root]
    return [{"DeviceName": root, "Ebs": disk}, *others]
