"""Frames of simulators, the wrapper that draws them, and the encoder of videos."""
