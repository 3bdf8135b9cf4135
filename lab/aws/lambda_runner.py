"""Runs one Lambda function's handler in a process of its own, as the Python runtime does. Started by lambda_pool.

Usage: python -I -S lambda_runner.py <response fd> <site-packages of the lab>; requests are JSON lines on stdin.
Owns which modules the handler may import: its bundle, the standard library, boto3 as the runtime brings it, and local
builds of the packages whose bundled wheels are for another processor. Imports nothing of the lab.
"""

import importlib.machinery
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

# What AWS's Python runtimes bring beside the standard library.
RUNTIME_PACKAGES = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"}


class LocalPackages:
    """Finds, in the lab's environment, only the packages named; anything else must be in the bundle."""

    def __init__(self, names: set[str], site_packages: str) -> None:
        self.names = names
        self.path = [site_packages]

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002 - the import system's signature
        if path is not None or fullname not in self.names:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, self.path)


def native_packages(task_root: str) -> set[str]:
    """Top-level names in the bundle that hold machine code, which is for arm64 and another Python."""
    names = set()
    for found in Path(task_root).rglob("*.so*"):
        top = found.relative_to(task_root).parts[0]
        names.add(top.split(".")[0])
    return {name for name in names if not name.endswith("_libs")}


class Context:
    """The `context` argument of a handler."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.aws_request_id = request["requestId"]
        self.invoked_function_arn = request["functionArn"]
        self.identity = None
        self.client_context = None
        self._deadline = time.time() + request["timeoutSeconds"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.time()) * 1000))


def describe(error: BaseException) -> dict[str, Any]:
    """errorType is the class's name: it is what Step Functions matches in Retry and Catch."""
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[1:])
    return {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": frames}


def load_handler(task_root: str) -> Any:
    module_name, _, attribute = os.environ["_HANDLER"].rpartition(".")
    sys.path.insert(0, task_root)
    module = importlib.import_module(module_name.replace("/", "."))
    return getattr(module, attribute)


def main() -> None:
    responses = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    site_packages = sys.argv[2]
    task_root = os.environ["LAMBDA_TASK_ROOT"]
    local = LocalPackages(native_packages(task_root), site_packages)
    sys.meta_path.insert(0, local)
    # Last: a bundle that brings its own boto3 wins over the runtime's.
    sys.meta_path.append(LocalPackages(RUNTIME_PACKAGES, site_packages))
    handler, failure = None, None
    try:
        handler = load_handler(task_root)
    except BaseException as error:
        failure = describe(error)
        if isinstance(error, ImportError):
            failure["errorType"] = "Runtime.ImportModuleError"
            failure["errorMessage"] = f"Unable to import module '{os.environ['_HANDLER']}': {error}"
    responses.write(json.dumps({"initialized": failure is None, "error": failure}) + "\n")
    if failure is not None:
        return
    for line in sys.stdin:
        request = json.loads(line)
        os.environ["_X_AMZN_TRACE_ID"] = request["traceId"]
        responses.write(json.dumps(invoke(handler, request)) + "\n")


def invoke(handler: Any, request: dict[str, Any]) -> dict[str, Any]:
    try:
        result = handler(request["event"], Context(request))
        return {"payload": json.dumps(result)}
    except BaseException as error:
        return {"error": describe(error)}
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    main()
