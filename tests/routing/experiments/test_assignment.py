"""Who takes part in an experiment: always the same asks, about as many as were asked for."""

import subprocess
import sys

import pytest

from routing.experiments.assignment import Experiment, shadows_for, split_for
from tests.routing.money import ask


def experiment(name: str = "cheaper", kind: str = "split", share: float = 0.3, **more) -> Experiment:
    return Experiment(name, kind, share, **{"strategy": "cost", **more})


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_about_the_share_that_was_asked_for_is_drawn(share: float) -> None:
    one = experiment(share=share)
    drawn = sum(one.draws(ask(key=f"k{number}")) for number in range(20_000)) / 20_000
    assert drawn == pytest.approx(share, abs=4 * (share * (1 - share) / 20_000) ** 0.5)


def test_a_repeat_and_every_turn_of_a_conversation_stay_where_they_were_drawn() -> None:
    one = experiment(share=0.5)
    for number in range(50):
        first = one.draws(ask("a", key=f"k{number}", id="g_1"))
        assert first == one.draws(ask("a", key=f"k{number}", id="g_2"))
        talk = [one.draws(ask(f"turn {turn}", key=f"t{turn}", conversation=f"c{number}")) for turn in range(5)]
        assert len(set(talk)) == 1


def test_another_process_draws_the_same() -> None:
    one = experiment(share=0.5)
    here = "".join(str(int(one.draws(ask(key=f"k{n}")))) for n in range(64))
    program = (
        "from tests.routing.experiments.test_assignment import experiment, ask;"
        "one = experiment(share=0.5);print(''.join(str(int(one.draws(ask(key=f'k{n}')))) for n in range(64)))"
    )
    environment = {"PYTHONHASHSEED": "77", "PYTHONPATH": "."}
    there = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_experiments_draw_independently_of_each_other() -> None:
    one, other = experiment("one", share=0.5), experiment("other", share=0.5)
    both = sum(one.draws(ask(key=f"k{n}")) and other.draws(ask(key=f"k{n}")) for n in range(10_000))
    assert both / 10_000 == pytest.approx(0.25, abs=0.02)


def test_who_named_a_model_or_a_strategy_or_sits_in_a_panel_is_left_alone() -> None:
    every = [experiment(share=1.0)]
    assert split_for(every, ask()) is every[0]
    assert split_for(every, ask(model="openai/gpt-6")) is None
    assert split_for(every, ask(strategy="quality")) is None
    assert split_for(every, ask(part_of="f_1")) is None


def test_one_request_is_split_once_and_shadowed_by_all_who_want() -> None:
    splits = [experiment("a", share=0.0), experiment("b", share=1.0)]
    assert split_for(splits, ask()).name == "a"
    shadows = [experiment("s", "shadow", 1.0), experiment("t", "shadow", 1.0), experiment("u", "shadow", 0.0)]
    assert [one.name for one in shadows_for(shadows, ask())] == ["s", "t"]


def test_a_shadow_is_nobodys_repeat_and_is_booked_under_the_experiment() -> None:
    said = ask(key="k", request_id="r", conversation="c", cache="use", caller="ada", id="g_1", local_only=True)
    shadow = experiment("cheaper", "shadow", 1.0, model="b/m").shadowed(said, "x_1")
    assert (shadow.id, shadow.caller, shadow.model, shadow.strategy) == ("x_1", "experiment:cheaper", "b/m", "cost")
    assert (shadow.request_id, shadow.conversation, shadow.key, shadow.cache) == (None, None, "", "off")
    assert shadow.local_only and shadow.request == said.request
