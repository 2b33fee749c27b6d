"""Many machines: environments in actors of Ray that act in fragments, and training in several processes."""
