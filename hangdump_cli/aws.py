"""The session and the clients of one command. The only module that talks to botocore's session."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import botocore.session
from botocore.config import Config

from hangdump_cli.errors import no_region
from lambdas.runtime.stack_parameter import VERSION

# A person waits: some attempts, and no long silence.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=5,
    read_timeout=30,
    user_agent_extra=f"hangdump/{VERSION}",
)

_PAGE_SIZES = {
    "describe_alarms": 100,
    "describe_instance_information": 50,
    "describe_instances": 1000,
    "describe_volumes": 500,
    "list_service_quotas": 100,
}


@dataclass(frozen=True)
class Clock:
    """Tests replace it."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], object] = time.sleep


class Aws:
    """One account and Region, by the user's own credentials."""

    def __init__(self, *, region: str = "", profile: str = "") -> None:
        self._session = botocore.session.Session(profile=profile or None)
        self._given_region = region
        self._clients: dict[str, Any] = {}

    @property
    def region(self) -> str:
        """Raises NoRegion. AWS_REGION counts as for the AWS CLI and the CDK; botocore alone does not read it."""
        found = self._given_region or os.environ.get("AWS_REGION") or self._session.get_config_variable("region") or ""
        if not found:
            raise no_region()
        return str(found)

    def client(self, service: str) -> Any:
        """The client of a service, one a command."""
        if service not in self._clients:
            self._clients[service] = self._session.create_client(service, region_name=self.region, config=_CONFIG)
        return self._clients[service]

    def pages(self, service: str, operation: str, **parameters: Any) -> Any:
        """The pages of a paginated call, as large as the service allows."""
        # EC2 takes no size of a page beside ids.
        if operation in _PAGE_SIZES and "InstanceIds" not in parameters:
            parameters.setdefault("PaginationConfig", {"PageSize": _PAGE_SIZES[operation]})
        return self.client(service).get_paginator(operation).paginate(**parameters)
