"""The errors that end a command: what happened, what to do next, and the exit code. Words AWS's own errors."""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, ClassVar

from botocore import exceptions as aws

from analysis.command_line import UserError
from lambdas.runtime.visible_text import one_line

_LONGEST = 600


class Exit(IntEnum):
    """The exit codes; docs/operate.md lists them."""

    OK = 0
    # An instance is not ready, an alarm is red, a check found a fault, a verdict is bad.
    NOT_GOOD = 1
    USAGE = 2
    # No stack, no credentials or no permission.
    NO_ACCESS = 3
    REFUSED = 4
    # Out of time, or AWS did not answer.
    OUT_OF_TIME = 5
    # 128 + SIGINT, as a shell reports it.
    INTERRUPTED = 130


class CommandFailed(Exception):
    """One line for what happened, one for what to do next."""

    exit_code: ClassVar[Exit] = Exit.NOT_GOOD

    def __init__(self, happened: str, next_step: str, *, name: str = "", exit_code: Exit | None = None) -> None:
        super().__init__(happened)
        self.name = name or type(self).__name__
        self.happened, self.next_step = one_line(happened, _LONGEST), one_line(next_step, _LONGEST)
        self.exit = self.exit_code if exit_code is None else exit_code


class StackNotFound(CommandFailed):
    """No stack of Hangdump in this account and Region."""

    exit_code = Exit.NO_ACCESS


class StackParameterUnreadable(CommandFailed):
    """Somebody else wrote the parameter that describes the stack."""

    exit_code = Exit.NO_ACCESS


class StackTooOld(CommandFailed):
    """The stack lacks something that the command needs."""

    exit_code = Exit.NO_ACCESS


class NotFound(CommandFailed):
    """No such instance or incident."""


class Refused(CommandFailed):
    """Hangdump, or the user, refused."""

    exit_code = Exit.REFUSED


class OutOfTime(CommandFailed):
    """What was started goes on, but the command waits no longer."""

    exit_code = Exit.OUT_OF_TIME


class NoRegion(CommandFailed):
    """Neither the options nor the environment nor the profile names a Region."""

    exit_code = Exit.NO_ACCESS


_LOG_IN = "Set AWS_PROFILE, give --profile, or log in with `aws sso login`; then run it again."
_DENIED = {
    *("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "UnauthorizedAccess"),
    *("Forbidden", "403", "AuthorizationErrorException", "KMSAccessDenied", "KMS.AccessDeniedException"),
}
_BAD_CREDENTIALS = {
    *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "AuthFailure"),
    *("UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "InvalidAccessKeyId"),
    *("MissingAuthenticationToken", "MissingAuthenticationTokenException", "IncompleteSignature", "OptInRequired"),
}
# Those of botocore's own retries (botocore/retries/standard.py), and what services answer when they are ill.
_BUSY = {
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "RequestThrottled"),
    *("TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException"),
    *("RequestLimitExceeded", "BandwidthLimitExceeded", "PriorRequestNotComplete", "EC2ThrottledException", "SlowDown"),
    *("RequestTimeout", "RequestTimeoutException", "ServiceUnavailable", "ServiceUnavailableException", "Unavailable"),
    *("InternalError", "InternalFailure", "InternalServerError", "InternalServerException", "500", "503"),
}
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


def explain(error: BaseException, *, region: str = "") -> CommandFailed | None:
    """The same as an error of ours; None for a bug, which keeps its traceback."""
    if isinstance(error, CommandFailed):
        return error
    if isinstance(error, aws.ClientError):
        return _explain_answer(error)
    if isinstance(error, aws.BotoCoreError):
        return _explain_no_answer(error, region)
    if isinstance(error, UserError):
        # `dump get` words what AWS refused; it is refused all the same.
        refused = explain(error.__cause__) if isinstance(error.__cause__, aws.ClientError) else None
        code = refused.exit if refused else Exit.NOT_GOOD
        return CommandFailed(str(error), "See docs/analysis.md.", name=type(error).__name__, exit_code=code)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return CommandFailed(f"{where}{error.strerror}.", "Mend it, then run the command again.", name="SystemError")
    return None


def code_of(error: aws.ClientError) -> str:
    """AccessDenied, ParameterNotFound, …"""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_transient(error: BaseException) -> bool:
    """Whether the same call may be answered later."""
    if isinstance(error, aws.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _BUSY or status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR
    return isinstance(error, aws.HTTPClientError | aws.ConnectionError)


def _explain_answer(error: aws.ClientError) -> CommandFailed:
    code, message = code_of(error), error.response.get("Error", {}).get("Message", "")
    operation = error.operation_name
    if code in _DENIED:
        return CommandFailed(
            f"You may not call {operation}: {message or code}",
            "Ask for the policy in the stack's output ViewerPolicyArn, or OperatorPolicyArn; `hangdump doctor` tells"
            " what else is missing. Dumps need s3:GetObject and kms:Decrypt of their own.",
            name="AccessDenied",
            exit_code=Exit.NO_ACCESS,
        )
    if code in _BAD_CREDENTIALS:
        return CommandFailed(
            f"AWS refuses the credentials: {code}: {message}",
            _LOG_IN,
            name="CredentialsRefused",
            exit_code=Exit.NO_ACCESS,
        )
    if is_transient(error):
        return CommandFailed(
            f"AWS did not answer {operation} in all attempts: {code}: {message}",
            "Wait a minute, then run it again: each step can be repeated.",
            name="AwsUnavailable",
            exit_code=Exit.OUT_OF_TIME,
        )
    return CommandFailed(f"{operation} failed: {code}: {message}", "Run `hangdump doctor`.", name=code or "AwsError")


# The first that fits.
_NO_ANSWER: tuple[tuple[tuple[type[Exception], ...], Callable[[Any], tuple[str, str]]], ...] = (
    (
        (aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError, aws.TokenRetrievalError),
        lambda error: ("NoCredentials", f"There are no usable AWS credentials: {error}"),
    ),
    (
        (aws.SSOError, aws.UnauthorizedSSOTokenError, aws.ProfileNotFound, aws.InvalidConfigError),
        lambda error: ("NoCredentials", f"There are no usable AWS credentials: {error}"),
    ),
)


def _explain_no_answer(error: aws.BotoCoreError, region: str) -> CommandFailed:
    for kinds, words in _NO_ANSWER:
        if isinstance(error, kinds):
            name, happened = words(error)
            return CommandFailed(happened, _LOG_IN, name=name, exit_code=Exit.NO_ACCESS)
    if isinstance(error, aws.NoRegionError):
        return no_region()
    if isinstance(error, aws.InvalidRegionError):
        return CommandFailed(str(error), "Give --region eu-central-1.", name="InvalidRegion", exit_code=Exit.USAGE)
    if is_transient(error):
        return CommandFailed(
            f"AWS cannot be reached: {error}",
            f"Check the network, the proxy (HTTPS_PROXY) and the Region {region or '(none)'}; `hangdump doctor` tries"
            " each endpoint.",
            name="EndpointUnreachable",
            exit_code=Exit.OUT_OF_TIME,
        )
    return CommandFailed(f"{type(error).__name__}: {error}", "Run `hangdump doctor`.", name=type(error).__name__)


def no_region() -> NoRegion:
    """What to say when no Region is known."""
    return NoRegion("No Region is set.", "Give --region eu-central-1, or set AWS_REGION.")
