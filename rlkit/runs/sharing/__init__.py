"""A run as one zip for others: written with a card, and opened without trust."""
