"""What this machine has, what is missing, and what to do about it; nothing is trained and nobody is asked."""
