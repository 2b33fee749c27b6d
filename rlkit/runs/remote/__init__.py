"""Many machines: environments in actors of Ray, which act in fragments."""
