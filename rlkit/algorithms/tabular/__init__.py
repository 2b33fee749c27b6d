"""Control and prediction with tables, over states that are counted or made discrete."""
