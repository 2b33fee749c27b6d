"""Wrappers around single environments, composed in YAML under `preprocess`, innermost first.

```yaml
preprocess:
  - {_target_: rlkit.preprocess.MaxFrames}
  - {_target_: rlkit.preprocess.FrameSkip, skip: 4}
  - {_target_: rlkit.preprocess.Gray}
  - {_target_: rlkit.preprocess.Resize, size: [84, 84]}
  - {_target_: rlkit.preprocess.FrameStack, size: 4}
```

A wrapper that changes rewards need not declare it: the raw return is the sum of the innermost environment's own rewards
(`rlkit.vector.raw_rewards`). The wrappers of this module put them into ``info["rlkit/raw_reward"]`` too, for use
without rlkit's loop. One that ends an episode while the game continues sets ``info["rlkit/game_over"]`` to False. All
state of these wrappers is in the checkpoint.
"""

from rlkit.preprocess.actions import DiscreteActions, JointActions
from rlkit.preprocess.episodes import FireReset, LifeLoss, NoopStarts
from rlkit.preprocess.frames import FrameSkip, FrameStack, MaxFrames
from rlkit.preprocess.images import ChannelsLast, Crop, Gray, Resize
from rlkit.preprocess.observations import Keep
from rlkit.preprocess.parts import Part
from rlkit.preprocess.rewards import ClipReward, CountBonus, SignReward, TerminalReward
from rlkit.preprocess.texts import Tokenize

__all__ = [
    "ChannelsLast",
    "ClipReward",
    "CountBonus",
    "Crop",
    "DiscreteActions",
    "FireReset",
    "FrameSkip",
    "FrameStack",
    "Gray",
    "JointActions",
    "Keep",
    "LifeLoss",
    "MaxFrames",
    "NoopStarts",
    "Part",
    "Resize",
    "SignReward",
    "TerminalReward",
    "Tokenize",
]
