"""What a handler's caller sees of an error of AWS."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ParamValidationError, ReadTimeoutError

from lambdas.runtime.errors import AwsUnavailable, InstanceNotFound
from lambdas.runtime.observability import entry_point


def failing(error: Exception) -> Any:
    @entry_point
    def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
        raise error

    return handler


def answer(code: str, status: int) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "secret"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "DescribeVolumes")


@pytest.mark.parametrize(
    ("error", "named"),
    [
        pytest.param(answer("RequestLimitExceeded", 503), "DescribeVolumes with RequestLimitExceeded", id="ec2"),
        pytest.param(answer("ThrottlingException", 400), "ThrottlingException", id="json"),
        pytest.param(answer("Throttled", 429), "Throttled", id="by-its-status"),
        pytest.param(answer("InternalError", 500), "InternalError", id="a-fault-of-the-service"),
        pytest.param(ReadTimeoutError(endpoint_url="https://ec2"), "ReadTimeoutError", id="no-answer"),
        pytest.param(ConnectTimeoutError(endpoint_url="https://ec2"), "ConnectTimeoutError", id="no-connection"),
    ],
)
def test_what_passes_by_itself_has_one_name_that_its_state_retries(error: Exception, named: str, context: Any) -> None:
    with pytest.raises(AwsUnavailable) as caught:
        failing(error)({}, context)
    assert named in str(caught.value)
    assert "secret" not in str(caught.value)
    assert AwsUnavailable.next_step in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(answer("UnauthorizedOperation", 403), id="denied"),
        pytest.param(answer("VolumeLimitExceeded", 400), id="a-quota-that-no-wait-raises"),
        pytest.param(ParamValidationError(report="x"), id="a-mistake-of-ours"),
        pytest.param(InstanceNotFound("i-1 is not there."), id="named-already"),
        pytest.param(ValueError("x"), id="a-bug"),
    ],
)
def test_any_other_error_keeps_its_name(error: Exception, context: Any) -> None:
    with pytest.raises(type(error)) as caught:
        failing(error)({}, context)
    assert caught.value is error
