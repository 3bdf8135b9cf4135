"""The kill switch: one parameter that every interrupt reads as its last step."""

from botocore.exceptions import ClientError

from hangdump_cli.aws import Aws
from hangdump_cli.errors import code_of
from lambdas.runtime.stack_parameter import KILL_SWITCH_PARAMETER
from lambdas.runtime.visible_text import one_line

_LONGEST_VALUE = 40


def read_interrupts(aws: Aws) -> str:
    """on, off, or why it is neither: what is not exactly `on` stops every interrupt."""
    try:
        value = str(aws.client("ssm").get_parameter(Name=KILL_SWITCH_PARAMETER)["Parameter"]["Value"])
        return value if value in ("on", "off") else f"off: the parameter is {one_line(value, _LONGEST_VALUE)!r}"
    except ClientError as error:
        if code_of(error) == "ParameterNotFound":
            return f"off: there is no parameter {KILL_SWITCH_PARAMETER}"
        raise


def switch(aws: Aws, value: str) -> None:
    """`on` or `off`, from the next interrupt on."""
    aws.client("ssm").put_parameter(Name=KILL_SWITCH_PARAMETER, Value=value, Overwrite=True)
