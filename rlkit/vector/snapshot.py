"""Read and write the whole state of a Gymnasium environment as plain data, layer by layer.

A layer (a wrapper, or the environment at the core) is captured in the first way that works:
it offers ``get_state()``/``set_state(state)`` itself, or its exact class is in `FIELDS`.
One layer that is neither makes the whole environment opaque. The generator is always included, what films it never: a
run may be resumed with another choice of video.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np

from rlkit.core.types import State

_CONTROL = "gymnasium.envs.classic_control"
_TOY = "gymnasium.envs.toy_text"
_WRAPPERS = "gymnasium.wrappers"

FIELDS: dict[str, tuple[str, ...]] = {
    f"{_CONTROL}.cartpole.CartPoleEnv": ("state", "steps_beyond_terminated"),
    f"{_CONTROL}.acrobot.AcrobotEnv": ("state",),
    f"{_CONTROL}.mountain_car.MountainCarEnv": ("state",),
    f"{_CONTROL}.continuous_mountain_car.Continuous_MountainCarEnv": ("state",),
    f"{_CONTROL}.pendulum.PendulumEnv": ("state", "last_u"),
    f"{_TOY}.frozen_lake.FrozenLakeEnv": ("s", "lastaction"),
    f"{_TOY}.cliffwalking.CliffWalkingEnv": ("s", "lastaction"),
    f"{_TOY}.taxi.TaxiEnv": ("s", "lastaction", "fickle_step", "taxi_orientation"),
    f"{_TOY}.blackjack.BlackjackEnv": ("dealer", "player", "dealer_top_card_suit", "dealer_top_card_value_str"),
    f"{_WRAPPERS}.common.OrderEnforcing": ("_has_reset",),
    f"{_WRAPPERS}.common.TimeLimit": ("_elapsed_steps",),
    f"{_WRAPPERS}.transform_action.ClipAction": (),
    f"{_WRAPPERS}.transform_action.RescaleAction": (),
    f"{_WRAPPERS}.transform_observation.DtypeObservation": (),
    f"{_WRAPPERS}.transform_observation.FlattenObservation": (),
    f"{_WRAPPERS}.transform_observation.RescaleObservation": (),
    f"{_WRAPPERS}.transform_observation.ReshapeObservation": (),
    f"{_WRAPPERS}.transform_reward.ClipReward": (),
    "rlkit.preprocess.actions.DiscreteActions": (),
    "rlkit.preprocess.episodes.FireReset": (),
    "rlkit.preprocess.episodes.NoopStarts": (),
    "rlkit.preprocess.frames.FrameSkip": (),
    "rlkit.preprocess.frames.FrameStack": ("_stack",),
    "rlkit.preprocess.frames.MaxFrames": ("_previous",),
    "rlkit.preprocess.images.Crop": (),
    "rlkit.preprocess.images.Grey": (),
    "rlkit.preprocess.images.Resize": (),
    "rlkit.preprocess.observations.Keep": (),
    "rlkit.preprocess.rewards.ClipReward": (),
    "rlkit.preprocess.rewards.SignReward": (),
    "rlkit.preprocess.rewards.TerminalReward": (),
    "rlkit.core.spaces.DiscreteTuple": (),
    "rlkit.core.spaces.ZeroBasedActions": (),
    "rlkit.core.spaces.ZeroBasedChoices": (),
    "rlkit.core.spaces.ZeroBasedObservations": (),
    "rlkit.core.spaces.ZeroBasedActionTree": (),
    "rlkit.core.spaces.ZeroBasedParts": (),
    "rlkit.core.spaces.ZeroBasedTree": (),
}
"""Exact class -> the attributes that change while it runs (attributes not set yet are left out)."""

UNSEEN = (
    "rlkit.rendering.render_wrapper.Film",
    "rlkit.vector.raw_rewards.RawReward",
    "rlkit.vector.raw_rewards.RewardTap",
)
"""Wrappers that only look on."""

BIT_GENERATORS: dict[str, Callable[[], np.random.BitGenerator]] = {
    "MT19937": np.random.MT19937,
    "PCG64": np.random.PCG64,
    "PCG64DXSM": np.random.PCG64DXSM,
    "Philox": np.random.Philox,
    "SFC64": np.random.SFC64,
}


def layers(env: gymnasium.Env[Any, Any]) -> Iterator[gymnasium.Env[Any, Any]]:
    """Yield the wrappers from the outside in, without those of `UNSEEN`, then the environment itself."""
    while isinstance(env, gymnasium.Wrapper):
        if class_name(env) not in UNSEEN:
            yield env
        env = env.env
    yield env


def class_name(layer: gymnasium.Env[Any, Any]) -> str:
    """Return the exact class of a layer, module included."""
    return f"{type(layer).__module__}.{type(layer).__qualname__}"


def opaque_layer(env: gymnasium.Env[Any, Any]) -> str | None:
    """Return the class of the first layer that cannot be captured, or None where all can."""
    for layer in layers(env):
        if not _offers_state(layer) and class_name(layer) not in FIELDS:
            return class_name(layer)
    return None


def capture(env: gymnasium.Env[Any, Any]) -> State | None:
    """Return the state of `env`, wrappers and generator included, or None where it is opaque."""
    if opaque_layer(env) is not None:
        return None
    return {"layers": [_read(layer) for layer in layers(env)], "generator": _read_generator(env.unwrapped)}


def restore(env: gymnasium.Env[Any, Any], state: State) -> None:
    """Give `env`, built like the captured one, the state that `capture` returned."""
    for layer, saved in zip(layers(env), state["layers"], strict=True):
        _write(layer, saved)
    _write_generator(env.unwrapped, state["generator"])


def _offers_state(layer: Any) -> bool:
    return callable(getattr(type(layer), "get_state", None)) and callable(getattr(type(layer), "set_state", None))


def _read(layer: Any) -> Any:
    if _offers_state(layer):
        return layer.get_state()
    present = vars(layer)
    # Copies, for some change in place (Blackjack's hands).
    return {field: copy.deepcopy(present[field]) for field in FIELDS[class_name(layer)] if field in present}


def _write(layer: Any, saved: Any) -> None:
    if _offers_state(layer):
        layer.set_state(saved)
        return
    for field, value in saved.items():
        setattr(layer, field, copy.deepcopy(value))


def _read_generator(env: Any) -> State | None:
    generator = vars(env).get("_np_random")
    if generator is None:
        return None
    return {"state": generator.bit_generator.state, "seed": vars(env).get("_np_random_seed")}


def _write_generator(env: Any, saved: State | None) -> None:
    if saved is None:
        return
    bits = BIT_GENERATORS[saved["state"]["bit_generator"]]()
    bits.state = saved["state"]
    env._np_random = np.random.Generator(bits)
    env._np_random_seed = saved["seed"]
