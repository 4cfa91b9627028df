"""Programs for work on the tap: they may import it and each other, but no tests, and it imports none of them."""
