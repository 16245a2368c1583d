"""One synthetic study for all tests of the report, and a browser to open it with."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from synthetic import write_study

from crossover.analyses.gather import gather_analyses
from crossover.commands.report_incomplete import write_part
from crossover.report.render import render_report
from crossover.runs.files import run_folder
from crossover.specs.descriptions import Card
from crossover.specs.studies import StudySpec
from crossover.statistics.aggregate import aggregate_study
from crossover.statistics.partial import computed_part

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 2</script>",
    "\"><img src=x onerror='window.hacked = 3'>",
    "{{ 7 * 7 }} & <b>bold</b>",
)


@dataclass(frozen=True)
class Rendered:
    """A rendered study: its working directory, its spec, and its folder below results/studies/."""

    root: Path
    spec: StudySpec
    folder: Path

    @property
    def report(self) -> Path:
        """The report, as an absolute path."""
        return self.root / self.folder / "report.html"


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Rendered:
    """The synthetic study, aggregated and rendered."""
    root = tmp_path_factory.mktemp("study")
    rendered = Rendered(root, write_study(root), Path("results/studies/demo"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        aggregate_study(rendered.spec, rendered.folder)
        for kind in {entry.kind: None for entry in rendered.spec.analyses}:
            gather_analyses(rendered.spec, kind, rendered.folder / "analyses")
        render_report(rendered.spec, rendered.folder)
    return rendered


@pytest.fixture(scope="session")
def hostile(study) -> Rendered:
    """The same study with words in it that would do harm if they were taken for code."""
    words = {"title": HOSTILE[1], "description": HOSTILE[0], "citation": HOSTILE[2], "licence": HOSTILE[3]}
    card = Path(study.spec.tasks["composer"].card).with_name("hostile.json")
    tasks = {name: task.model_copy(update=words) for name, task in study.spec.tasks.items()}
    analyses = [
        entry.model_copy(
            update={
                "title": HOSTILE[1],
                "models": tuple(one.model_copy(update={"checkpoint_title": HOSTILE[0]}) for one in entry.models),
            }
        )
        for entry in study.spec.analyses
    ]
    spec = study.spec.model_copy(
        update={
            "title": HOSTILE[0],
            "question": HOSTILE[1],
            "description": HOSTILE[2],
            "tasks": tasks | {"composer": tasks["composer"].model_copy(update={"card": str(card)})},
            "conditions": {
                name: one.model_copy(update={"title": HOSTILE[place % 4] + name})
                for place, (name, one) in enumerate(study.spec.conditions.items())
            },
            "reproduce": HOSTILE[1],
            "analyses": tuple(analyses),
        }
    )
    folder = Path("results/studies/hostile")
    shutil.copytree(study.root / study.folder, study.root / folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(study.root)
        facts = Card.load(Path(study.spec.tasks["composer"].card))
        classes = {split: dict.fromkeys(HOSTILE, 1) for split in facts.items}
        facts.model_copy(update={"notes": HOSTILE, "classes": classes}).write(card)
        render_report(spec, folder)
    return Rendered(study.root, spec, folder)


@pytest.fixture(scope="session")
def incomplete(tmp_path_factory) -> Rendered:
    """The synthetic study with runs that failed: one task whole, single seeds, a damaged file; a reason would do harm."""
    root = tmp_path_factory.mktemp("incomplete")
    spec = write_study(root)
    failed = [(cell.run, seed) for cell in spec.cells for seed in cell.seeds if cell.task == "bit-xor"]
    failed += [(cell.run, 1) for cell in spec.cells if cell.condition == "random-all" and cell.task != "bit-xor"]
    rendered = Rendered(root, spec, Path("results/studies/demo/incomplete"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for run, seed in failed:
            shutil.rmtree(run_folder(run, seed))
        metrics = run_folder(spec.cells[0].run, 2) / "metrics.json"
        metrics.write_text(metrics.read_text() + " ")
        write_part(computed_part(spec, _reason), rendered.folder)
    return rendered


def _reason(run: str, seed: int) -> tuple[str, str]:
    if run.startswith("bit-xor"):
        return f"it ran out of memory {HOSTILE[2]}", f"logs/finetune_run/{run}/seed-{seed}.log"
    return "it has not been computed", "logs/there/is/none.log"


@pytest.fixture(scope="session")
def chromium(require) -> tuple[str, str]:
    """Chromium and its driver."""
    found = [shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")]
    require(all(found), "no Chromium: apt-get install -y chromium chromium-driver")
    return str(found[0]), str(found[1])


@pytest.fixture(scope="session")
def _browser(chromium, tmp_path_factory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium[0]
    for switch in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "no-first-run",
        "disable-background-networking",
        "window-size=1280,900",
    ):
        options.add_argument(f"--{switch}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromium[1]))
    yield driver
    driver.quit()


@pytest.fixture
def browser(_browser) -> Iterator[Any]:
    """A headless browser that records its console and its requests; nothing is left in it of the test before."""
    for command, arguments in {
        "Emulation.setScriptExecutionDisabled": {"value": False},
        "Emulation.clearDeviceMetricsOverride": {},
        "Emulation.setEmulatedMedia": {"media": "", "features": []},
    }.items():
        _browser.execute_cdp_cmd(command, arguments)
    _browser.get("about:blank")
    for log in ("browser", "performance"):
        _browser.get_log(log)
    yield _browser
    _browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    _browser.execute_script("localStorage.clear()")
