from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from commands import refused, succeed
from gymnasium import spaces
from making import run_config

import rlkit
from rlkit.core.types import UsageError
from rlkit.play import human
from rlkit.play.demonstrate import Discarded
from rlkit.play.human import Closed, Person, Window, controls_beside, play_in_window
from rlkit.play.keyboard import REPEAT, WAIT, KeyBindings, keys_for, simple
from rlkit.preprocess import DiscreteActions
from rlkit.rendering.render_wrapper import RenderedFrame

pygame = pytest.importorskip("pygame")


def pressed(name: str) -> Any:
    return pygame.event.Event(pygame.KEYDOWN, key=pygame.key.key_code(name))


def released(name: str) -> Any:
    return pygame.event.Event(pygame.KEYUP, key=pygame.key.key_code(name))


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Windows that nobody sees."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield
    pygame.display.quit()


def grey() -> np.ndarray:
    return np.full((40, 60, 3), 90, np.uint8)


@pytest.fixture
def window(no_screen: None) -> Iterator[Window]:
    window = Window("a test")
    window.show(RenderedFrame(grey, True, 1000, "return 0   step 0"))
    yield window
    window.close()


def post(*events: Any) -> None:
    for event in events:
        pygame.event.post(event)


def names(keys: KeyBindings) -> dict[str, Any]:
    return {"+".join(sorted(combination)): action for combination, action in keys.actions.items()}


@pytest.mark.parametrize("id", ["CartPole-v1", "MountainCar-v0", "Acrobot-v1", "FrozenLake-v1", "Taxi-v4"])
def test_known_games_have_keys_for_actions_that_they_take(id: str):
    env = gymnasium.make(id)
    keys = keys_for(env)
    assert all(action in env.action_space for action in keys.actions.values())
    assert keys.names >= {"left", "right", "a", "d"}
    env.close()


def test_what_a_person_is_told_is_one_line():
    told = str(simple({"left": 0, "right": 1}, REPEAT))
    assert told == "keys: a or left = 0, d or right = 1; the last one goes on while no key is pressed"
    assert str(simple({"up": 2}, 0)) == "keys: w or up = 2; 0 while no key is pressed"
    assert str(simple({"h": 1}, WAIT)) == "keys: h = 1; the game waits for a key"


class Toy(gymnasium.Env):
    def __init__(self, action_space: spaces.Space, keys: dict | None = None):
        self.observation_space, self.action_space = spaces.Discrete(2), action_space
        if keys is not None:
            self.get_keys_to_action = lambda: keys


def test_actions_that_nobody_knows_are_on_numbers_and_arrows():
    assert names(keys_for(Toy(spaces.Discrete(2)))) == {"left": 0, "right": 1, "a": 0, "d": 1, "0": 0, "1": 1}
    assert keys_for(Toy(spaces.Discrete(2))).idle is WAIT
    assert names(keys_for(Toy(spaces.Discrete(18)))) == {str(i): i for i in range(10)}


def test_an_environment_can_say_its_own_keys():
    keys = keys_for(Toy(spaces.Discrete(4), {(): 0, ("w",): 1, (ord("d"), ord(" ")): 2, "as": 3}))
    assert names(keys) == {"w": 1, "d+space": 2, "a+s": 3}
    assert keys.idle == 0


def test_actions_that_count_from_elsewhere_are_counted_from_zero():
    keys = keys_for(Toy(spaces.Discrete(3, start=-1), {(): 0, ("a",): -1, ("d",): 1}))
    assert names(keys) == {"a": 0, "d": 2}
    assert keys.idle == 1


def test_composed_actions_that_count_from_elsewhere_are_counted_from_zero():
    keys = keys_for(Toy(spaces.MultiDiscrete([2, 3], start=[1, -1]), {(): (1, -1), ("a",): (2, 1)}))
    assert {key: action.tolist() for key, action in names(keys).items()} == {"a": [1, 2]}
    assert keys.idle.tolist() == [0, 0]


def test_arrows_drive_continuous_actions_to_their_bounds():
    env = Toy(spaces.Box(np.array([-2, 0], np.float32), np.array([2, np.inf], np.float32)))
    keys = keys_for(env)
    assert keys.action(frozenset(["left"])).tolist() == [-2, 0]
    assert keys.action(frozenset(["right", "up"])).tolist() == [2, 1]
    assert keys.idle.tolist() == [0, 0]
    assert all(action in env.action_space for action in keys.actions.values())


def test_actions_without_keys_are_refused_with_the_remedy():
    with pytest.raises(UsageError, match=r"let the environment offer get_keys_to_action\(\)"):
        keys_for(Toy(spaces.Box(-1, 1, (17,))))


def test_keys_that_mean_nothing_are_left_out():
    keys = simple({"left": 0, "right": 1}, WAIT)
    assert keys.action(frozenset(["left", "x"])) == 0
    assert keys.action(frozenset(["x"])) is None
    assert keys.action(frozenset(["left", "right"])) in (0, 1)


def act(person: Person) -> Any:
    [action], memory = person.act(None, (), explore=False, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    assert memory == ()
    return action


def test_a_game_that_waits_takes_one_step_for_each_press(window: Window):
    person = Person(window, simple({"left": 0, "right": 1}, WAIT))
    post(pressed("x"), pressed("right"), released("right"), pressed("left"), pressed("d"))
    assert [act(person) for _ in range(3)] == [1, 0, 1]


def test_a_game_that_does_not_wait_begins_with_the_first_key_and_takes_what_is_held(window: Window):
    person = Person(window, simple({"left": 0, "right": 2}, 1))
    post(pressed("right"))
    assert act(person) == 2
    window.show(RenderedFrame(grey, False, 1000, ""))
    assert [act(person) for _ in range(3)] == [2, 2, 2]
    post(pressed("left"), released("right"))
    assert act(person) == 0
    post(released("left"))
    assert act(person) == 1


def test_the_last_action_goes_on_where_there_is_none_for_no_key(window: Window):
    person = Person(window, simple({"left": 0, "right": 1}, REPEAT))
    post(pressed("right"), released("right"))
    assert act(person) == 1
    window.show(RenderedFrame(grey, False, 1000, ""))
    assert act(person) == 1


@pytest.mark.parametrize("make", [lambda: pygame.event.Event(pygame.QUIT), lambda: pressed("escape")])
@pytest.mark.parametrize("idle", [WAIT, 1])
def test_closing_the_window_ends_it(make: Callable[[], Any], idle: Any, window: Window):
    person = Person(window, simple({"left": 0, "right": 2}, idle))
    post(make())
    with pytest.raises(Closed):
        act(person)


def test_small_pictures_are_shown_larger(window: Window):
    assert pygame.display.get_surface().get_size() == (60 * 12, 40 * 12)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> rlkit.runs.run.Run:
    monkeypatch.chdir(tmp_path)
    return rlkit.train(
        "agent=random", "env=blackjack", "logger=[csv]", total_steps=50, video="none", **{"eval.every": 20}
    )


def test_whole_episodes_are_played_and_scored(
    run: Any, no_screen: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rlkit.play.human.PAUSE", 0.01)
    # Stick at once, in each of three games: the events are there before they are waited for.
    read = Window._read
    monkeypatch.setattr(Window, "_read", lambda self: (post(pressed("s")), read(self))[1])
    scores = play_in_window(run, episodes=3, seed=0, fps=1000)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "keys: s = 0, h = 1; the game waits for a key; Esc ends"
    assert lines[1:4] == [f"episode {i}: return {score:g} in 1 steps" for i, score in enumerate(scores, 1)]
    assert lines[4].startswith("the agent's best evaluation: return ")
    # The games are those that the agent plays with the same seed.
    assert scores == play_in_window(run, episodes=3, seed=0, fps=1000)


def test_a_closed_window_keeps_the_scores(
    run: Any, no_screen: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    read = Window._read
    monkeypatch.setattr(Window, "_read", lambda self: (post(pressed("escape")), read(self))[1])
    assert play_in_window(run, episodes=3, seed=0, fps=None) == []
    assert "closed" in capsys.readouterr().out.splitlines()


def test_without_a_screen_there_is_one_line_with_the_remedy(tmp_path: Path):
    succeed("train", "agent=random", "total_steps=20", "video=none", "logger=[csv]", cwd=tmp_path)
    play = partial(refused, "play", "run=runs/random_cartpole_s0", "human=true", cwd=tmp_path)
    assert "needs a screen" in play()
    assert "leave human=true out" in play()


@pytest.mark.parametrize(
    "words", [("epsilon=0.1",), ("sample=true",), ("grid=true",), ("record=true", "env=blackjack", "checkpoint=last")]
)
def test_keys_that_a_person_has_no_use_for_are_refused(words: tuple[str, ...], tmp_path: Path):
    said = refused("play", "human=true", *([] if "record=true" in words else ["run=runs/any"]), *words, cwd=tmp_path)
    assert f"{words[-1].partition('=')[0]}= means nothing where a person plays" in said


class TestControls:
    @pytest.fixture
    def driving(self, no_screen: None) -> Iterator[Window]:
        keys = simple({"left": 0, "right": 2}, 1)
        window = Window("a test", controls=controls_beside(keys))
        window.show(RenderedFrame(grey, False, 1000, ""))
        yield window
        window.close()

    def test_only_keys_that_the_game_leaves_free_control_it(self):
        assert controls_beside(simple({"left": 0}, 1)) == {"space", "return"}
        assert controls_beside(simple({"left": 0, "space": 1}, 1)) == {"return"}
        assert controls_beside(simple({"left": 0}, WAIT)) == frozenset()

    def test_enter_discards_the_episode(self, driving: Window):
        person = Person(driving, simple({"left": 0, "right": 2}, 1))
        post(pressed("right"), pressed("return"))
        with pytest.raises(Discarded):
            act(person)
        # What was held is forgotten, and the next episode goes on as any.
        assert act(person) == 1

    def test_space_pauses_until_it_is_pressed_again(self, driving: Window, monkeypatch: pytest.MonkeyPatch):
        person, reads = Person(driving, simple({"left": 0, "right": 2}, 1)), []
        read = Window._read

        def counted(window: Window) -> None:
            reads.append(0)
            if len(reads) == 5:
                post(pressed("space"), pressed("left"))
            read(window)

        monkeypatch.setattr(Window, "_read", counted)
        post(pressed("space"))
        assert act(person) == 0
        assert len(reads) == 5

    def test_a_paused_game_can_be_closed(self, driving: Window):
        post(pressed("space"), pressed("escape"))
        with pytest.raises(Closed):
            act(Person(driving, simple({"left": 0, "right": 2}, 1)))


def test_a_person_is_recorded(no_screen: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from rlkit.cli.verbs import play
    from rlkit.learners.datasets.demonstrations import read_episodes

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rlkit.play.human.PAUSE", 0.01)
    read = Window._read
    monkeypatch.setattr(Window, "_read", lambda self: (post(pressed("s")), read(self))[1])
    assert play.main(["record=true", "human=true", "env=blackjack", "episodes=3", "fps=1000"]) == 0
    found = read_episodes("recordings/blackjack")
    assert found.action.tolist() == [0, 0, 0]
    assert [episode["player"] for episode in found.episodes] == ["person"] * 3


def test_keys_choose_among_actions_that_stand_in_for_continuous_ones():
    env = DiscreteActions(gymnasium.make("Pendulum-v1"), actions=[[-2.0], [0.0], [2.0]])
    keys = keys_for(env)
    assert (keys.action(frozenset(["left"])), keys.idle, keys.action(frozenset(["right"]))) == (0, 1, 2)


def test_the_keys_of_a_run_are_those_of_its_wrapped_environment():
    words = ["env=gym", "env.id=Pendulum-v1", "agent=random"]
    config = run_config(*words).environment
    wrapper = {"_target_": "rlkit.preprocess.DiscreteActions", "actions": [[1.5], [-1.5]]}
    assert human._keys(replace(config, preprocess=[wrapper])).action(frozenset(["left"])) == 1
