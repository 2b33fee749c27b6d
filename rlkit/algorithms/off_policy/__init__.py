"""What agents share that learn an actor and critics from a replay: acting, updates, targets, losses."""
