"""Frames of simulators, the wrapper that renders them, and the encoder of videos."""
