"""The networks of MuZero: representation, dynamics and prediction (torch).

Sources: Schrittwieser et al. (2020); Ye et al. (2021) for the projection by which latents are kept consistent.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.ranges import NonNegativeInt, PositiveFloat, PositiveInt
from rlkit.core.spaces import num_actions, require_array
from rlkit.core.types import FromRun, UsageError
from rlkit.networks.boards import residual_block
from rlkit.networks.convolutional import Image
from rlkit.networks.observations import LARGEST, highest_byte, is_board
from rlkit.networks.supports import Support
from rlkit.networks.torsos import Chain, Floats, as_torso

AGENT = "agent=muzero"


class Advanced(NamedTuple):
    """What an action is expected to do to B latents."""

    latent: Tensor  # [B, W], reached
    reward: Tensor  # [B, M] logits on the support
    discount: Tensor  # [B, 3] logits: the episode ends, goes on, or the turn passes


class Predicted(NamedTuple):
    """What is said of B latents."""

    policy: Tensor  # [B, A] logits
    value: Tensor  # [B, M] logits on the support


class LatentSpace(Protocol):
    """Encodes observations as latents, and moves these by actions.

    Attributes:
        width: W, of a latent.
        features: F, of what rewards are read from.
    """

    width: int
    features: int

    def encode(self, observation: Tensor) -> Tensor:
        """Return latents [B, W] of observations [B, ...]."""

    def advance(self, latent: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents [B, W] that actions [B] int64 lead to, and features [B, F] of the step."""


def scaled(latent: Tensor) -> Tensor:
    """Return latents [B, W] with the least number of each at 0 and the greatest at 1 (appendix G of the source)."""
    least, greatest = latent.aminmax(dim=1, keepdim=True)
    return (latent - least) / (greatest - least + 1e-5)


class VectorLatents(nn.Module):
    """Latents by a torso, moved by fully connected layers."""

    def __init__(
        self,
        torso: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        size: PositiveInt,
        hidden: PositiveInt,
    ):
        """Put a layer of `size` W on the torso, and make a dynamics function of `hidden` F.

        Raises:
            UsageError: the actions are not discrete, or the observations no arrays.
        """
        super().__init__()
        require_array(observation_space, agent=AGENT)
        self.actions = num_actions(action_space, agent=AGENT)
        self.width, self.features = size, hidden
        self.torso = as_torso(torso, observation_space)
        self.top = nn.Linear(self.torso.features, size)
        self.body = Chain(nn.Linear(size + self.actions, hidden), nn.LayerNorm(hidden), nn.ReLU())
        self.change = nn.Linear(hidden, size)

    def encode(self, observation: Tensor) -> Tensor:
        """Return latents [B, W] of observations [B, ...]."""
        return scaled(self.top(self.torso(observation)))

    def advance(self, latent: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents [B, W] that actions [B] int64 lead to, and features [B, F] of the step."""
        one_hot = nn.functional.one_hot(action, self.actions).to(latent.dtype)
        features = self.body(torch.cat([latent, one_hot], dim=1))
        return scaled(latent + self.change(features)), features


class BoardLatents(nn.Module):
    """Latents that are planes of a board or of a small image, moved by convolutions in residual blocks."""

    def __init__(
        self,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        filters: PositiveInt,
        blocks: NonNegativeInt,
    ):
        """Make both functions of so many `blocks` each.

        Raises:
            UsageError: the actions are not discrete, or the observations neither boards nor images of at most 19 rows.
        """
        super().__init__()
        reader, shape = _planes(observation_space)
        self.actions = num_actions(action_space, agent=AGENT)
        self.shape = (filters, *shape[1:])
        self.width = self.features = filters * shape[1] * shape[2]
        body = [residual_block(filters) for _ in range(blocks)]
        self.encoder = Chain(reader, nn.Conv2d(shape[0], filters, 3, padding=1), *body, nn.Flatten())
        # Where an action acts on a board is learned: it adds planes of its own.
        self.planes = nn.Embedding(self.actions, self.width)
        self.first = nn.Conv2d(filters, filters, 3, padding=1)
        self.body = Chain(*(residual_block(filters) for _ in range(blocks)))

    def encode(self, observation: Tensor) -> Tensor:
        """Return latents [B, W] of observations [B, ...]."""
        return scaled(self.encoder(observation))

    def advance(self, latent: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents [B, W] that actions [B] int64 lead to, and features [B, F] of the step."""
        planes = latent.view(-1, *self.shape)
        moved = self.first(planes) + self.planes(action).view(-1, *self.shape)
        features = self.body(moved).flatten(1)
        return scaled(latent + features), features


def _planes(observation_space: spaces.Space[Any]) -> tuple[nn.Module, tuple[int, ...]]:
    """Return what reads a space as planes [B, C, R, C'] of floats, and their shape [C, R, C']."""
    if is_board(observation_space):
        return Floats(highest_byte(observation_space)), tuple(observation_space.shape or ())
    shape = observation_space.shape or ()
    if isinstance(observation_space, spaces.Box) and len(shape) == 3 and max(shape[:2]) <= LARGEST:
        image = Image(observation_space)
        return image, (image.channels, *image.size)
    raise UsageError(
        f"latents=board needs boards [planes, rows, columns] or images of at most {LARGEST} rows, not "
        f"{observation_space}; take latents=vector"
    )


class LatentNetwork(nn.Module):
    """Latents, and on them a policy, values, rewards and discounts.

    Attributes:
        latents: representation and dynamics.
        num_actions: A.
        support: of values and rewards.
    """

    def __init__(
        self,
        latents: nn.Module,
        action_space: FromRun[spaces.Space[Any]],
        hidden: PositiveInt,
        support: PositiveFloat,
        atoms: PositiveInt,
        projection: PositiveInt,
    ):
        """Put heads on a `LatentSpace`.

        Args:
            latents: the `LatentSpace`.
            action_space: of one environment.
            hidden: width of the layer between latents and each head.
            support: largest transformed value, see `rlkit.networks.supports`.
            atoms: M, numbers of the support.
            projection: width of the projection in which latents are compared.

        Raises:
            UsageError: the support has fewer than three atoms.
        """
        super().__init__()
        if atoms < 3:
            raise UsageError(f"agent.network.atoms is {atoms}; it must be at least 3, or no value lies between two")
        space: Any = latents
        self.latents = space
        self.support = Support(support, atoms)
        self.num_actions, self._atoms = num_actions(action_space, agent=AGENT), atoms
        self.prediction = _head(space.width, hidden, self.num_actions + atoms)
        self.outcome = _head(space.features, hidden, atoms + 3)
        self.projector = Chain(
            nn.Linear(space.width, projection),
            nn.LayerNorm(projection),
            nn.ReLU(),
            nn.Linear(projection, projection),
        )
        self.predictor = Chain(
            nn.Linear(projection, projection), nn.LayerNorm(projection), nn.ReLU(), nn.Linear(projection, projection)
        )

    def encode(self, observation: Tensor) -> Tensor:
        """Return latents [B, W] of observations [B, ...]."""
        latent: Tensor = self.latents.encode(observation)
        return latent

    def predict(self, latent: Tensor) -> Predicted:
        """Return policies and values of latents [B, W]."""
        return Predicted(*self.prediction(latent).split([self.num_actions, self._atoms], dim=1))

    def advance(self, latent: Tensor, action: Tensor) -> Advanced:
        """Return what actions [B] int64 are expected to do to latents [B, W]."""
        reached, features = self.latents.advance(latent, action)
        return Advanced(reached, *self.outcome(features).split([self._atoms, 3], dim=1))

    def inconsistency(self, imagined: Tensor, seen: Tensor) -> Tensor:
        """Return 1 minus the cosines [B] between projections of latents [B, W]: imagined, and of what was seen.

        No gradient reaches `seen` (Chen & He, 2021).
        """
        with torch.no_grad():
            target = self.projector(seen)
        return 1 - nn.functional.cosine_similarity(self.predictor(self.projector(imagined)), target, dim=1)


def expected_discount(logits: Tensor) -> Tensor:
    """Return the expected discounts [B] of logits [B, 3], as in `Advanced`."""
    chance = logits.softmax(1)
    return chance[:, 1] - chance[:, 2]


def _head(width: int, hidden: int, outputs: int) -> nn.Module:
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return Chain(nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.ReLU(), last)
