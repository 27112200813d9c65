"""When tasks are asked for, and the loop that asks."""
