"""What becomes of every workflow when any of its calls goes wrong: injected in process, judged by oracles."""
