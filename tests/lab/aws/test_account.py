"""The account's life cycle, and that nothing of it stays behind."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from moto.ec2.models.elastic_block_store import Volume
from moto.ec2.responses import EC2Response

from lab.aws.account import LabAccount
from lab.aws.event_log import EventStream
from lab.aws.patches import MotoHasChanged, Patches
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.assembly import function, state_machine, template, write_assembly
from tests.lab.aws.waiting import eventually


def test_leaving_ends_executions_threads_processes_and_patches(tmp_path: Path) -> None:
    status = vars(Volume)["status"]
    before = set(threading.enumerate())
    wait = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}
    with LabAccount(time_scale=0.01) as account:
        resources = {"F": function("code.handler", FunctionName="F"), "M": state_machine("M", wait)}
        account.deploy(template(**resources), write_assembly(tmp_path, {"code.py": "def handler(e, c): return 1"}))
        account.start_execution("M", {})
        assert account.invoke("F", {}) == 1
        account.add_instance(ScriptedMachine(hung=True))
        assert vars(Volume)["status"] is not status
        port, instance_port = int(account.endpoint_url.rsplit(":", 1)[1]), account.instance_port
    assert vars(Volume)["status"] is status
    assert not hasattr(EC2Response, "send_diagnostic_interrupt")
    assert eventually(lambda: not {t for t in threading.enumerate() if t.is_alive()} - before)
    for closed in (port, instance_port):
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", closed)):
            pass


def test_there_is_one_account_at_a_time_and_another_after_it() -> None:
    with LabAccount(), pytest.raises(RuntimeError, match="leave it first"), LabAccount():
        pass
    with LabAccount() as account:
        assert account.client("sts").get_caller_identity()["Account"] == account.account_id


def test_answers_that_take_their_time_take_it_side_by_side() -> None:
    with LabAccount(answer_seconds=1.0) as account:
        sts = account.client("sts")
        began = time.monotonic()
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: sts.get_caller_identity()["Account"], range(8)))
        taken = time.monotonic() - began
    assert answers == [account.account_id] * 8
    assert 1 <= taken < 5


def test_a_patch_of_something_that_moto_has_by_now_is_an_error() -> None:
    class Moto:
        there = 1

    patches = Patches()
    with pytest.raises(MotoHasChanged):
        patches.add(Moto, "there", 2)
    with pytest.raises(MotoHasChanged):
        patches.replace(Moto, "missing", lambda original: original)
    patches.replace(Moto, "there", lambda original: original + 1)
    patches.add(Moto, "added", 3)
    assert (Moto.there, Moto.added) == (2, 3)  # type: ignore[attr-defined]
    patches.undo()
    assert Moto.there == 1
    assert not hasattr(Moto, "added")


def test_events_reach_listeners_and_those_who_wait() -> None:
    stream, heard = EventStream(), []
    stream.listen(lambda event: heard.append(event.text))
    threading.Timer(0.1, stream.emit, ("ec2", "i-1", "hello")).start()
    assert stream.wait_for("ec2", "i-1 hello", timeout_seconds=5).text == "hello"
    assert heard == ["hello"]
    with pytest.raises(TimeoutError, match="goodbye"):
        stream.wait_for("ec2", "goodbye", timeout_seconds=0.05)
    assert stream.all()[0].time <= datetime.now(UTC)


def test_a_machine_without_panic_stays_hung() -> None:
    machine = ScriptedMachine()
    machine.hang()
    machine.inject_nmi()
    time.sleep(0.1)
    assert not machine.answers(0.05)
    assert machine.nmi_count == 1


def test_a_scripted_machine_does_not_run_a_script_unless_it_may() -> None:
    script = "#!/bin/sh\nexit 0\n"
    assert ScriptedMachine().run(script, environment={}, timeout_seconds=5).exit_code == 127
    assert ScriptedMachine(runs_scripts=True).run(script, environment={}, timeout_seconds=5).exit_code == 0
