"""Live adapters, one publisher a file: what to ask for, and how the answer is read."""
