"""Environments, agents and replays that break one rule of their contract each."""
