"""The commands that look at studies, control them and write files, against a service that runs."""

import io
import json
import os
import subprocess
from pathlib import Path

import pandas
import pytest
from running import COMMAND, SLOW, TINY, Service, environment, eventually, free_port, goldenbench


@pytest.fixture(scope="module")
def study(calm: Service) -> str:
    """A completed study."""
    return calm.run(TINY)


def test_studies_lists_the_newest_first(calm: Service, study: str) -> None:
    newest = calm.get("/v1/studies")["items"][0]
    listed = goldenbench("studies", "--url", calm.url)
    assert listed.returncode == 0, listed.stderr
    lines = listed.stdout.splitlines()
    assert lines[0].split()[:3] == ["id", "status", "trainings"]
    assert lines[1].split()[0] == newest["id"]
    assert any(line.split()[:3] == [study, "completed", "8/8"] for line in lines)
    limited = goldenbench("studies", "--limit", "1", "--json", "--url", calm.url)
    assert [one["id"] for one in json.loads(limited.stdout)] == [newest["id"]]


def test_plot_writes_the_form_of_the_ending(calm: Service, study: str, tmp_path: Path) -> None:
    for name, start in (("a.svg", b"<?xml"), ("a.png", b"\x89PNG")):
        written = goldenbench("plot", study, "-o", str(tmp_path / name), "--url", calm.url)
        assert (written.returncode, written.stdout) == (0, f"{tmp_path / name}\n"), written.stderr
        assert (tmp_path / name).read_bytes().startswith(start)
    curves = goldenbench("plot", study, "--kind", "curves", "-o", "-", "--url", calm.url)
    assert "learning curves" in curves.stdout
    command = [str(COMMAND), "plot", study, "--url", calm.url]
    subprocess.run(command, cwd=tmp_path, env=environment(), check=True, capture_output=True, timeout=60)
    assert (tmp_path / f"goldenbench-{study}-heatmap.svg").exists()


def test_plot_says_what_is_wrong(calm: Service, study: str, tmp_path: Path) -> None:
    refused = goldenbench("plot", study, "-o", str(tmp_path / "a.pdf"), "--url", calm.url)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "must end in .svg or .png" in refused.stderr
    assert goldenbench("plot", study, "--kind", "surface", "--url", calm.url).returncode == 2
    nowhere = goldenbench("plot", study, "-o", str(tmp_path / "none" / "a.svg"), "--url", calm.url)
    assert (nowhere.returncode, "cannot be written: No such file" in nowhere.stderr) == (1, True)


def test_export_writes_every_training_in_each_form(calm: Service, study: str, tmp_path: Path) -> None:
    listed = calm.replicates(study)
    asked = goldenbench("export", study, "--url", calm.url)
    assert asked.returncode == 0, asked.stderr
    assert len(pandas.read_csv(io.StringIO(asked.stdout))) == len(listed) == 8
    document = goldenbench("export", study, "--format", "json", "--url", calm.url)
    assert json.loads(document.stdout) == listed
    path = tmp_path / "all.parquet"
    written = goldenbench("export", study, "--format", "parquet", "-o", str(path), "--url", calm.url)
    assert (written.returncode, written.stdout) == (0, f"{path}\n"), written.stderr
    assert pandas.read_parquet(path)["accuracy"].tolist() == [row["accuracy"] for row in listed]


def test_studies_are_controlled(calm: Service) -> None:
    running = calm.submit(SLOW)

    def told(*arguments: str) -> tuple[int, str]:
        done = goldenbench(*arguments, "--url", calm.url)
        return done.returncode, done.stdout.strip() or done.stderr.strip()

    assert told("pause", running) == (0, "paused")
    assert told("resume", running) == (0, "queued")
    code, text = told("extend", running, "2")
    assert (code, text.endswith("of 24 trainings")) == (0, True)
    assert told("cancel", running) == (0, "cancelled")
    code, text = told("resume", running)
    assert (code, "the study is cancelled" in text) == (1, True)
    assert told("extend", running, "0")[0] == 2


def test_watch_shows_the_best_cell_so_far(calm: Service, tmp_path: Path) -> None:
    """On a terminal, which is where somebody watches."""
    import pty

    running = calm.submit(SLOW | {"epochs": 20})
    leader, follower = pty.openpty()
    command = [str(COMMAND), "watch", running, "--url", calm.url]
    with subprocess.Popen(command, env=environment(TERM="xterm"), stdout=follower, stderr=follower) as watching:
        os.close(follower)
        shown = bytearray()

        def best() -> bool:
            shown.extend(os.read(leader, 65_536))
            return b"best so far: " in shown

        try:
            eventually(best, 120, "it shows the best cell so far")
        finally:
            watching.kill()
            os.close(leader)
    assert b"momentum" in shown
    calm.post(f"/v1/studies/{running}/cancel")


def test_no_service_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    for arguments in (["studies"], ["submit", "demo"], ["watch", "a"], ["compare", "a"], ["cancel", "a"]):
        failed = goldenbench(*arguments, "--url", url)
        assert failed.returncode == 4, arguments
        assert f"no service answers at {url}" in failed.stderr
        assert "goldenbench up" in failed.stderr
        assert len(failed.stderr.splitlines()) == 1


def test_doctor_finds_a_healthy_service(calm: Service) -> None:
    found = goldenbench("doctor", "--data", str(calm.data), "--json")
    assert found.returncode == 0, found.stdout
    findings = {finding["what"]: finding for finding in json.loads(found.stdout)}
    assert "torch" in findings["installed"]["told"]
    assert findings["database"] == {
        "what": "database",
        "state": "good",
        "told": f"sqlite:///{calm.data}/goldenbench.db answers",
    }
    assert f"{calm.url} is ready" in findings["service"]["told"]
    assert findings["worker"]["told"].startswith("cpu-0, ")
    assert findings["model paper-cnn"]["told"].startswith("packed-cpu")


def test_doctor_finds_what_is_missing(tmp_path: Path) -> None:
    quiet = goldenbench("doctor", "--data", str(tmp_path / "new"))
    assert quiet.returncode == 0, "nothing is broken where nothing has been started"
    assert "none runs on" in quiet.stdout
    port = free_port()
    away = f"postgresql://someone:secret@127.0.0.1:{port}/none"
    broken = goldenbench(
        *("doctor", "--data", str(tmp_path / "new"), "--database-url", away),
        *("--url", f"http://127.0.0.1:{port}", "--scheduler", f"tcp://127.0.0.1:{port}", "--json"),
    )
    assert broken.returncode == 1
    states = {finding["what"]: finding["state"] for finding in json.loads(broken.stdout)}
    assert (states["database"], states["service"], states["scheduler"]) == ("bad", "bad", "bad")
    assert "secret" not in broken.stdout


def completions(words: str, **more: str) -> list[str]:
    """What bash would offer for the last of some words."""
    asked = {"_GOLDENBENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([str(COMMAND)], env=environment(**asked, **more), capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()


def test_shell_completes_commands_presets_and_studies(calm: Service, study: str, tmp_path: Path) -> None:
    assert "submit" in completions("goldenbench su")
    assert "demo" in completions("goldenbench submit de")
    assert study in completions(f"goldenbench watch {study[:4]}", GOLDENBENCH_DATA=str(calm.data))
    assert completions("goldenbench watch x", GOLDENBENCH_DATA=str(tmp_path)) == []


def test_help_names_the_exit_codes() -> None:
    told = goldenbench("--help", TERM="dumb")
    assert "Exit codes: 0 all is well" in told.stdout
