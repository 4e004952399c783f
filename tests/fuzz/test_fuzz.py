"""Readers take any bytes: they read them or say in one sentence why not."""

from __future__ import annotations

import warnings

import pytest
from fuzz import answers, targets
from fuzz.changes import changed
from fuzz.finds import FINDS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

# The same files each time: chance is for `by_hand.py`, whose finds are kept.
FEW = settings(
    max_examples=12, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture(autouse=True)
def quiet():
    """What libraries say of damaged files is no matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("reader", list(targets.TARGETS))
def test_whole_files_are_read(reader):
    target = targets.TARGETS[reader]
    for name, whole in target.seeds.items():
        targets.try_file(target, name, whole, must_be_read=reader not in ("archive", "bundle"))


@pytest.mark.parametrize("reader", list(targets.TARGETS))
def test_changed_files_are_read_or_refused(reader):
    target = targets.TARGETS[reader]
    files = st.sampled_from(list(target.seeds)).flatmap(
        lambda name: st.tuples(st.just(name), changed(target.seeds[name], target.is_text))
    )

    @FEW
    @given(files)
    def every(file):
        targets.try_file(target, *file)

    every()


def test_changed_runs_are_read_or_refused():
    run = targets.finished_run()
    files = st.sampled_from(targets.files_of_run()).flatmap(
        lambda name: st.tuples(
            st.just(name), changed((run / name).read_bytes(), name.endswith(".json"))
        )
    )

    @settings(FEW, max_examples=40)
    @given(files)
    def every(file):
        targets.try_run(*file)

    every()


def test_answers_are_read_whole():
    for read in answers.READERS:
        read(answers.opened())


def test_changed_answers_are_read_or_refused():
    run = answers.answered_run()
    files = st.sampled_from(answers.files_of_answers()).flatmap(
        lambda name: st.tuples(
            st.just(name), changed((run / name).read_bytes(), name.endswith(".json"))
        )
    )

    @settings(FEW, max_examples=30)
    @given(files)
    def every(file):
        answers.try_answers(*file)

    every()


@pytest.mark.parametrize("find", FINDS, ids=lambda find: f"{find[0]} {find[1]}")
def test_what_once_escaped(find):
    reader, name, change = find
    if reader == "answers":
        answers.try_answers(name, change((answers.answered_run() / name).read_bytes()))
    elif reader == "run":
        targets.try_run(name, change((targets.finished_run() / name).read_bytes()))
    else:
        target = targets.TARGETS[reader]
        targets.try_file(target, name, change(target.seeds[name]))
