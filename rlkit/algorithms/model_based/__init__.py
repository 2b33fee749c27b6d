"""Models that are learned, and learning from what they tell."""
