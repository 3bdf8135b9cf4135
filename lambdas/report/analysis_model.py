"""analysis.json as the report reads it: leniently, because a page with most of it is better than none.

What has another type than expected counts as absent; what is unknown is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WrapValidator
from pydantic.alias_generators import to_camel


def _or(default: object) -> WrapValidator:
    def lenient(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError:
            return default

    return WrapValidator(lenient)


def _objects(value: object) -> list[object]:
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return [each for each in value if isinstance(each, Mapping)] if is_list else []  # type: ignore[attr-defined]


def _texts(value: object) -> list[str]:
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return [text for each in value if (text := _text(each))] if is_list else []  # type: ignore[attr-defined]


def _text(value: object) -> str:
    """A text, a number, or a task: `{"name": "cp", "pid": 12}` is "cp (12)"."""
    if isinstance(value, Mapping):
        name, pid = str(value.get("name") or ""), value.get("pid")
        return f"{name} ({pid})" if isinstance(pid, int) else name
    return str(value) if isinstance(value, str | int) else ""


_OBJECTS = BeforeValidator(_objects)
_OBJECT = BeforeValidator(lambda value: value if isinstance(value, Mapping) else {})
Text = Annotated[str, BeforeValidator(_text)]
Whole = Annotated[int | None, _or(None)]
Number = Annotated[Annotated[float, Field(allow_inf_nan=False)] | None, _or(None)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class Frame(_Part):
    """A frame; `function` is "" if it has no symbol."""

    function: Text = ""
    file: Text = ""
    line: Whole = None
    module: Text = ""


class Task(_Part):
    """A task by its name."""

    name: Text = ""
    pid: Whole = None


Backtrace = Annotated[tuple[Frame, ...], _OBJECTS]


class Cpu(_Part):
    """A CPU and the task that it ran."""

    cpu: Whole = None
    task: Annotated[Task, _OBJECT] = Task()
    backtrace: Backtrace = ()


class BlockedTask(_Part):
    """A task in uninterruptible sleep."""

    name: Text = ""
    pid: Whole = None
    seconds: Number = None
    backtrace: Backtrace = ()


class Culprit(_Part):
    """The task that stopped the kernel; `waiters` waited for its lock, or for a lock of another waiter."""

    task: Annotated[Task, _OBJECT] = Task()
    function: Text = ""
    module: Text = ""
    waiters: Texts = ()


class Lock(_Part):
    """A lock with its holder and its waiters."""

    kind: Text = ""
    holder: Text = ""
    waiters: Texts = ()
    detail: Text = ""


class Slab(_Part):
    """A slab cache."""

    name: Text = ""
    bytes: Number = None


class Process(_Part):
    """A process and its resident memory."""

    name: Text = ""
    pid: Whole = None
    rss_bytes: Number = None


class Memory(_Part):
    """The use of memory."""

    total_bytes: Number = None
    free_bytes: Number = None
    slabs: Annotated[tuple[Slab, ...], _OBJECTS] = ()
    processes: Annotated[tuple[Process, ...], _OBJECTS] = ()


class BlockRequest(_Part):
    """A request in flight to a disk."""

    device: Text = ""
    operation: Text = ""
    age_seconds: Number = None


class Analysis(_Part):
    """The parts of analysis.json that the page shows."""

    kernel_release: Text = ""
    build_id: Text = ""
    is_symbols_matched: Annotated[bool | None, _or(None)] = None
    culprit: Annotated[Culprit, _OBJECT] = Culprit()
    cpus: Annotated[tuple[Cpu, ...], _OBJECTS] = ()
    blocked_tasks: Annotated[tuple[BlockedTask, ...], _OBJECTS] = ()
    locks: Annotated[tuple[Lock, ...], _OBJECTS] = ()
    memory: Annotated[Memory, _OBJECT] = Memory()
    block_requests: Annotated[tuple[BlockRequest, ...], _OBJECTS] = ()
    problems: Texts = ()


def read_analysis(given: Mapping[str, Any] | None) -> Analysis:
    """Never raises; None gives an empty analysis."""
    return Analysis.model_validate(dict(given or {}))
