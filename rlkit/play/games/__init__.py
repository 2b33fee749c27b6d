"""Games with turns: players, matches, ratings, analysis, and a person at the board."""
