"""What a path of Step Functions gives."""

from typing import Any

import pytest
from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError

from lab.aws.json_path import extract

DATA = {"Volumes": [{"State": "available", "Tags": []}], "two": [{"a": 1}, {"a": 2}], "none": None}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", DATA),
        ("$.Volumes[0].State", "available"),
        ("$.Volumes[0]", DATA["Volumes"][0]),  # type: ignore[index]
        ("$.Volumes[*].State", ["available"]),
        ("$.two[*].a", [1, 2]),
        ("$.two[0:1]", [{"a": 1}]),
        ("$.two[?(@.a==2)].a", [2]),
        ("$.two[?(@.a==3)].a", []),
        ("$.none", None),
        ("$['Volumes'][0]['State']", "available"),
    ],
)
def test_a_definite_path_gives_the_thing_and_an_indefinite_one_a_list(path: str, expected: Any) -> None:
    assert extract(path, DATA) == expected


@pytest.mark.parametrize("path", ["$.nothing", "$.Volumes[3].State"])
def test_a_definite_path_to_nothing_is_an_error(path: str) -> None:
    with pytest.raises(NoSuchJsonPathError):
        extract(path, DATA)
