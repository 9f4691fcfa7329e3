"""The packed CPU engine in C, and the door to it."""
