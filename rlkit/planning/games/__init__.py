"""Games with turns: who plays them, matches, ratings, analysis, and a person at the board."""
