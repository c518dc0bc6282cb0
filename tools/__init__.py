"""Small programs that make calls: set-up, and the checks that need more than one command."""
