"""Wrappers around single environments, composed in YAML under `preprocess`, innermost first.

```yaml
preprocess:
  - {_target_: rlkit.preprocess.MaxFrames}
  - {_target_: rlkit.preprocess.FrameSkip, skip: 4}
  - {_target_: rlkit.preprocess.Gray}
  - {_target_: rlkit.preprocess.Resize, size: [84, 84]}
  - {_target_: rlkit.preprocess.FrameStack, size: 4}
```

A wrapper that changes rewards need not say so: the raw return is made of what the innermost environment gave
(`rlkit.vector.raw_rewards`). Those of this module pass it on as ``info["raw_reward"]`` all the same, for whoever
uses them alone. One that ends an episode where the game goes on says so by ``info["game_over"]``. All that changes in
them is in the checkpoint.
"""

from rlkit.preprocess.actions import DiscreteActions
from rlkit.preprocess.episodes import FireReset, LifeLoss, NoopStarts
from rlkit.preprocess.frames import FrameSkip, FrameStack, MaxFrames
from rlkit.preprocess.images import Crop, Gray, Resize
from rlkit.preprocess.observations import Keep
from rlkit.preprocess.rewards import ClipReward, SignReward, TerminalReward

__all__ = [
    "ClipReward",
    "Crop",
    "DiscreteActions",
    "FireReset",
    "FrameSkip",
    "FrameStack",
    "Gray",
    "Keep",
    "LifeLoss",
    "MaxFrames",
    "NoopStarts",
    "Resize",
    "SignReward",
    "TerminalReward",
]
