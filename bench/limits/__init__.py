"""How near the model comes to what the CPU can do, and what else runs it."""
