"""A reward program for Reverie: prefers prompts with more words, and never looks at the images.

For every batch a line comes on standard input, the path of a folder with 0000.png, 0001.png, ... and prompts.txt
(a prompt a line). One line of as many numbers goes back. Everything else belongs on standard error.
"""

import pathlib
import sys

for line in sys.stdin:
    folder = pathlib.Path(line.rstrip("\n"))
    prompts = (folder / "prompts.txt").read_text(encoding="utf-8").splitlines()
    scores = [len(prompt.split()) for prompt in prompts]
    print(*scores, flush=True)  # without flush the answer stays in Python's buffer, and Reverie waits
