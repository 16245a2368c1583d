"""What runs ask the scheduler for."""

from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import POSITIONS, SIZES, renamed

from crossover.planning.resources import Work, gpu_memory_mb, memory_mb, minutes, work_of
from crossover.specs.analyses import AnalysisSpec
from crossover.specs.checkpoints import CheckpointFiles, TrainedSpec
from crossover.specs.runs import ModelSettings
from crossover.specs.tasks import TokensSpec

PATCHES = TokensSpec(name="tokens", task="task", encoding={"kind": "patches", "patch": [2]}, code={})
LARGEST = {"parameters": 10**10, "blocks": 96, "width": 2**14, "length": 2**15, "batch_size": 2**12, "steps": 10**7}
WORKS = st.fixed_dictionaries({name: st.integers(1, most) for name, most in LARGEST.items()}).map(lambda d: Work(**d))


@given(work=WORKS, more=st.data(), gpu=st.sampled_from([0, 1]), threads=st.integers(1, 64))
def test_more_work_never_asks_for_less(work, more, gpu, threads):
    for field in fields(Work):
        larger = replace(
            work, **{field.name: more.draw(st.integers(asdict(work)[field.name], 2 * LARGEST[field.name]))}
        )
        assert memory_mb(work, gpu) <= memory_mb(larger, gpu)
        assert gpu_memory_mb(work) <= gpu_memory_mb(larger)
        assert minutes(work, gpu, threads) <= minutes(larger, gpu, threads)


@given(work=WORKS, threads=st.integers(1, 63))
def test_more_threads_never_take_longer(work, threads):
    assert minutes(work, 0, threads) >= minutes(work, 0, threads + 1)


@pytest.mark.parametrize("name", LARGEST)
def test_every_size_counts(name):
    """Each makes a difference to memory or time, the others being those of GPT-2."""
    work = Work(parameters=124_000_000, blocks=12, width=768, length=1024, batch_size=8, steps=100_000)
    larger = replace(work, **{name: 8 * getattr(work, name)})
    assert (memory_mb(work, 0), minutes(work, 0, 1)) != (memory_mb(larger, 0), minutes(larger, 0, 1))
    assert gpu_memory_mb(larger) >= gpu_memory_mb(work)


@pytest.mark.parametrize("model", SIZES)
def test_the_sizes_of_every_architecture_are_read_from_its_config(model, tiny):
    spec = tiny.spec(model=model)
    work = work_of(spec, {spec.tokens: PATCHES})
    assert (work.blocks, work.width) == (2, 16)
    assert work.length == (512 if model in ("t5", "lstm") else POSITIONS)  # which have no limit
    assert work.parameters > 1000


def test_an_analysis_asks_for_room_for_its_models(tiny):
    runs = [tiny.spec(model=model) for model in ("gpt2", "bert")]
    specs = {runs[0].tokens: PATCHES}
    sizes = [work_of(run, specs) for run in runs]
    models = [{key: getattr(run, key) for key in ModelSettings.model_fields} | {"trained_by": None} for run in runs]
    work = work_of(AnalysisSpec(name="similarity", analysis="similarity", models=models, code={}), specs)
    assert work.parameters >= sum(size.parameters for size in sizes), "both are in memory"
    assert (work.blocks, work.width, work.length) == (2, 16, POSITIONS)


def test_an_export_asks_for_room_for_the_model_of_its_run(tiny):
    run = tiny.spec()
    made = TrainedSpec.named("tried", run=run.name, seed=0, code={})
    specs = {run.tokens: PATCHES, run.name: run, made.name: made}
    assert work_of(made, specs) == work_of(run, specs)
    after = renamed(run, checkpoint=CheckpointFiles(name=made.name, folder="results/trained/nowhere"))
    assert work_of(after, specs) == work_of(run, specs)
