"""Linear values of features of observations."""
