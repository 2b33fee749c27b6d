"""Small problems whose policy gradient is known, and the steps that agents take there."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from making import made, stream_of

from rlkit.core.loop import train
from rlkit.networks import load_module_state, module_state
from rlkit.vector.serial import SerialEnvironment

ALONE = "network=mlp network.hidden=[] agent.network.orthogonal=false agent.max_grad_norm=1e9"
DESCENT = "agent.optimizer._target_=torch.optim.SGD agent.learning_rate=1 agent.anneal=false"


class Chance(gymnasium.Env[int, int]):
    """Three states, two actions, chance in rewards and successors; it ends with a probability of its own."""

    observation_space, action_space = spaces.Discrete(3), spaces.Discrete(2)
    CHANCES = np.array([[[0.6, 0.3], [0.1, 0.7]], [[0.2, 0.2], [0.5, 0.4]], [[0.0, 0.9], [0.3, 0.3]]])
    """[S, A, 2]: to the next state, and to the one after it (modulo 3); the rest is the end."""
    REWARDS = np.array([[1.0, -0.5], [0.0, 2.0], [-1.0, 0.5]])

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._state = 0
        return 0, {}

    def step(self, action: int) -> Any:
        reward = self.REWARDS[self._state, action] + self.np_random.normal()
        near, far = self.CHANCES[self._state, action]
        drawn = self.np_random.random()
        self._state = (self._state + (1 if drawn < near else 2)) % 3
        return self._state, float(reward), bool(drawn >= near + far), False, {}


class Bandit(gymnasium.Env[int, int]):
    """Two arms, worth 1 and 2."""

    observation_space, action_space = spaces.Discrete(1), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: int) -> Any:
        return 0, float(action + 1 + self.np_random.normal()), True, False, {}


def exact_objective(logits: torch.Tensor, kind: type[Any], gamma: float) -> torch.Tensor:
    """Return the value of the first state, as a function of the policy's logits [S, A] that can be differentiated."""
    if kind is Bandit:
        return (logits.softmax(1)[0] * torch.tensor([1.0, 2.0], dtype=logits.dtype)).sum()
    return values_of_chance(logits.softmax(1), gamma)[0]


def moves_of_chance() -> torch.Tensor:
    """Return the chances [S, A, S] of moving on; what is missing from 1 is that of the end."""
    moves = torch.zeros(3, 2, 3, dtype=torch.float64)
    for state in range(3):
        for step in (0, 1):
            moves[state, :, (state + step + 1) % 3] += torch.from_numpy(Chance.CHANCES[state, :, step])
    return moves


def values_of_chance(policy: torch.Tensor, gamma: float) -> torch.Tensor:
    transition = torch.einsum("sa,sat->st", policy, moves_of_chance())
    rewards = (policy * torch.from_numpy(Chance.REWARDS)).sum(1)
    return torch.linalg.solve(torch.eye(3, dtype=policy.dtype) - gamma * transition, rewards)


def gradient_of(agent: Any, before: dict[str, torch.Tensor]) -> np.ndarray:
    """Return the step [S, A] that the logits took: a bias is that of every state."""
    after = agent.network.policy
    weight, bias = (after.weight - before["weight"]).detach().numpy().T, (after.bias - before["bias"]).detach().numpy()
    return np.vstack([weight, bias])


def begun(words: str, env: SerialEnvironment, gamma: float) -> tuple[Any, torch.Tensor]:
    """Return an agent that descends plainly, and its policy's logits [S, A] at the beginning."""
    agent = made(f"{words} {ALONE} {DESCENT} agent.gamma={gamma}", env)
    head, states = agent.network.policy, env.observation_space.n
    with torch.no_grad():
        head.weight.copy_(torch.linspace(-0.5, 0.4, 2 * states).view(2, states))
        head.bias.copy_(torch.tensor([0.2, -0.1]))
    return agent, (head.weight.T + head.bias).detach().double().requires_grad_()


def updates(words: str, kind: type[Any], gamma: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps [count, S + 1, A] that updates from the same parameters take, and the exact gradient."""
    env = SerialEnvironment([kind] * 4)
    agent, logits = begun(words, env, gamma)
    exact_objective(logits, kind, gamma).backward()
    assert logits.grad is not None
    return steps_from_there(agent, env, count), with_bias(logits.grad.numpy())


def with_bias(gradient: np.ndarray) -> np.ndarray:
    """Return a gradient of logits [S, A] with that of the bias below."""
    return np.vstack([gradient, gradient.sum(0)])


def steps_from_there(agent: Any, env: SerialEnvironment, count: int) -> np.ndarray:
    """Return the steps [count, S + 1, A] of the policy in updates that all begin with the same parameters."""
    saved, head = module_state(agent.network), agent.network.policy
    before = {"weight": head.weight.detach().clone(), "bias": head.bias.detach().clone()}
    steps = []
    for _, metrics in train(agent, stream_of(agent, env, 0), total_steps=10**9):
        if metrics is not None and "loss/policy" in metrics:
            steps.append(gradient_of(agent, before))
            load_module_state(agent.network, saved)
            if len(steps) == count:
                break
    return np.array(steps)


def assert_within_standard_errors(steps: np.ndarray, exact: np.ndarray) -> None:
    error = steps.std(0, ddof=1) / np.sqrt(len(steps))
    assert (error < 0.15 * np.abs(exact).max()).all()
    assert (np.abs(steps.mean(0) - exact) < 4 * error + 1e-7).all()
