"""Doors and windows: command line, REST, page.

Comes in: what a person or a program asks. Goes out: answers. No arithmetic; sockets and the terminal only.
"""
