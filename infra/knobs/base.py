"""What every group of knobs is: strict, frozen, camelCase in cdk.json."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Knobs(BaseModel):
    """A group of settings; Settings puts the groups together."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)
