"""Wrappers for one part of observations that are a `Dict` or a `Tuple`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium

from rlkit.core import tree
from rlkit.core.parts import at, path_to, replaced
from rlkit.core.spaces import space_tree
from rlkit.core.types import Tree
from rlkit.vector.declarations import keeps_frames, stacked_frames
from rlkit.vector.frame_stack import frame_stack

AnyEnv = gymnasium.Env[Any, Any]


class PartView(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Shows one part of the observations to the wrappers around it, and keeps the whole.

    Attributes:
        whole: the observation as it was before.
    """

    state_fields: tuple[str, ...] = ()

    def __init__(self, env: AnyEnv, path: tuple[str | int, ...]):
        """Show the part at the end of `path`."""
        super().__init__(env)
        self.path = path
        self.whole: Any = None
        self.observation_space = at(env.observation_space, path)

    def reset(self, **keys: Any) -> Any:
        """Reset, and return the part."""
        self.whole, info = self.env.reset(**keys)
        return at(self.whole, self.path), info

    def step(self, action: Any) -> Any:
        """Step, and return the part."""
        self.whole, *rest = self.env.step(action)
        return at(self.whole, self.path), *rest


class Part(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Applies wrappers to one part of the observations; the other parts stay as they are.

    In YAML, any wrapper is applied to a part by ``_part_``: ``{_target_: rlkit.preprocess.Gray, _part_: camera}``.
    """

    state_fields: tuple[str, ...] = ()

    def __init__(self, env: AnyEnv, name: str, wrap: Callable[[AnyEnv], AnyEnv]):
        """Wrap the part called `name` (`rlkit.core.parts`) by `wrap`.

        Raises:
            UsageError: there is no such part.
        """
        self._view = PartView(env, path_to(env.observation_space, name))
        super().__init__(wrap(self._view))
        part = self.env.observation_space
        self.observation_space = replaced(env.observation_space, self._view.path, part)

    def reset(self, **keys: Any) -> Any:
        """Reset, and return the whole observation."""
        part, info = self.env.reset(**keys)
        return replaced(self._view.whole, self._view.path, part), info

    def step(self, action: Any) -> Any:
        """Step, and return the whole observation."""
        part, *rest = self.env.step(action)
        return replaced(self._view.whole, self._view.path, part), *rest

    @property
    def frame_stack(self) -> Tree:
        """The number of frames that each part stacks, a tree of them, or one number where it is the same for all."""
        view = self._view
        beneath = frame_stack(view.env) if all(map(_steps_once, self._around())) else 1
        each = beneath
        if isinstance(beneath, int):
            each = tree.map(lambda part: beneath, space_tree(view.env.observation_space))
        each = replaced(each, view.path, self._frames_of_part(at(each, view.path)))
        different = set(tree.leaves(each))
        return different.pop() if len(different) == 1 else each

    def _frames_of_part(self, beneath: Tree) -> Tree:
        """Return the number of frames that the part stacks; `beneath` are those it had before."""
        for layer in self._around():
            frames = stacked_frames(layer)
            if frames is not None:
                return frames
            if not keeps_frames(type(layer)):
                return tree.map(lambda part: 1, space_tree(self.env.observation_space))
        return beneath

    def _around(self) -> Iterator[AnyEnv]:
        """Yield the wrappers of the part, from the outside in."""
        layer: Any = self.env
        while layer is not self._view:
            yield layer
            layer = layer.env


def _steps_once(layer: Any) -> bool:
    """Return whether a wrapper is certain to step once when it is stepped, so that other parts keep their frames."""
    kind = type(layer)
    observes = isinstance(layer, gymnasium.ObservationWrapper) and all(
        getattr(kind, name) is getattr(gymnasium.ObservationWrapper, name) for name in ("step", "reset")
    )
    return observes or keeps_frames(kind) or stacked_frames(layer) is not None
