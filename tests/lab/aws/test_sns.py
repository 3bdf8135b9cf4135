"""What Publish refuses."""

import pytest
from botocore.exceptions import ClientError

from lab.aws.account import LabAccount


@pytest.fixture(scope="module")
def topic(account: LabAccount) -> str:
    return str(account.client("sns").create_topic(Name="Told")["TopicArn"])


@pytest.mark.parametrize(
    ("subject", "message", "reason"),
    [("x" * 100, "text", "Subject"), ("two\nlines", "text", "Subject"), ("s", "ä" * 131_073, "Message too long")],
)
def test_refuses_what_is_too_long_or_no_line(
    account: LabAccount, topic: str, subject: str, message: str, reason: str
) -> None:
    with pytest.raises(ClientError, match=f"InvalidParameter.*{reason}"):
        account.client("sns").publish(TopicArn=topic, Subject=subject, Message=message)
    assert account.notifications == []


def test_takes_the_longest(account: LabAccount, topic: str) -> None:
    account.client("sns").publish(TopicArn=topic, Subject="x" * 99, Message="y" * 262_144)
    assert [each.subject for each in account.notifications] == ["x" * 99]
