"""Names as JSON has them. pydantic has the same; the command line runs without it."""


def camel_case(name: str) -> str:
    """now_epoch -> nowEpoch"""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
