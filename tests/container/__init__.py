"""The container: its recipe is examined, and its bot answers a call; `__main__` runs its steps."""
