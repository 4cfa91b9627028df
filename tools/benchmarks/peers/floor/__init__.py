"""The floor: the plainest loop that reads pages and writes records."""
